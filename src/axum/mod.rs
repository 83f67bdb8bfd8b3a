//! For axum: a listener, extractors and a middleware.
//!
//! May use `http`, `tls`, `stream`, `monitor` and `errors`. No other room uses it.
//!
//! * [`MonitoredListener`](crate::MonitoredListener) implements [`axum::serve::Listener`]; with the feature `tls`,
//!   `TlsListener` does too.
//! * Serve the router with `into_make_service_with_connect_info::<Monitor>()`, and a handler can take the
//!   [`Monitor`](crate::Monitor) of its connection as an argument. [`Peer`] has the client's address too.
//! * [`into_make_service`] has axum's own `ConnectInfo<SocketAddr>` beside the two, which axum's make-service has no room for.
//! * [`Monitored`] wraps any other listener, such as a `UnixListener`, and [`MonitoredAccept`] is for one of your own.
//! * [`connections`](crate::MonitoredListener::connections) of the listener ends what a graceful shutdown would wait for
//!   for ever.
//! * With the middleware [`follow`], a handler can take an [`Exchange`](crate::http::Exchange), which also tells
//!   when its request ends, and every response body ends with the connection.
//!
//! ```no_run
//! use axum::Router;
//! use axum::middleware::from_fn;
//! use axum::response::sse::{Event, Sse};
//! use axum::routing::get;
//! use hangup::http::{ProducerStream, producer};
//! use hangup::{Monitor, MonitoredListener};
//! use std::convert::Infallible;
//!
//! async fn tokens(monitor: Monitor) -> Sse<ProducerStream<Result<Event, Infallible>>> {
//!     let (mut producer, items) = producer(&monitor, 1);
//!     tokio::task::spawn_blocking(move || {
//!         for token in 0..1_000_000 {
//!             // At most one token is computed for nobody.
//!             let event = Event::default().data(token.to_string());
//!             if let Err(error) = producer.blocking_send(Ok(event)) {
//!                 println!("stopped at token {token}: {}", error.reason());
//!                 return;
//!             }
//!         }
//!     });
//!     Sse::new(items)
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
//!     let router = Router::new().route("/tokens", get(tokens));
//!     let service = router.into_make_service_with_connect_info::<Monitor>();
//!     axum::serve(listener, service).await
//! }
//! ```
//!
//! # WebSockets
//!
//! A handler takes the [`Monitor`](crate::Monitor) beside axum's `WebSocketUpgrade`, and moves it into `on_upgrade`. It is the
//! monitor of the connection, so it ends with the connection, and not with the response 101; so does an
//! [`Exchange`](crate::http::Exchange). A client that is killed sends no close frame: put
//! [`run_until_closed`](crate::Monitor::run_until_closed) around what talks to it. A receive
//! may fail first, with an error of the WebSocket that does not tell a FIN from a reset; the monitor has the reason then
//! too. The recipe `websocket` of `hangup::_cookbook` is a broadcast.
//!
//! [`hangup::http`](crate::http) says what the end of a connection means for a request, and what hyper does by itself.

mod accept;
mod extract;
mod follow;
mod listener;
mod make_service;
mod monitored;
mod peer;
#[cfg(feature = "tls")]
mod tls;

pub use accept::MonitoredAccept;
pub use extract::{NotFollowed, NotMonitored};
pub use follow::follow;
pub use make_service::{ConnectionService, MakeService, into_make_service};
pub use monitored::Monitored;
pub use peer::Peer;
