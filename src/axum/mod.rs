//! For axum: a listener, extractors and a middleware.
//!
//! May use `serve`, `http`, `tls`, `stream`, `monitor` and `errors`. Used by `tower`.
//!
//! # Which listener
//!
//! | the server listens on | listener |
//! |---|---|
//! | TCP | [`MonitoredListener`](crate::MonitoredListener) |
//! | TLS, with the feature `tls` | `TlsListener` |
//! | a Unix socket, or any other listener of axum | [`Monitored`] around it |
//! | a listener of your own | it implements [`MonitoredAccept`] |
//!
//! # Which make-service
//!
//! | handlers take | serve the router with |
//! |---|---|
//! | [`Monitor`](crate::Monitor) | `into_make_service_with_connect_info::<Monitor>()` |
//! | [`Peer`], or `Monitor` | `into_make_service_with_connect_info::<Peer>()` |
//! | these, and axum's own `ConnectInfo<SocketAddr>` | [`into_make_service`] |
//!
//! # Which argument of a handler
//!
//! | the handler needs | argument |
//! |---|---|
//! | the end of the connection | [`Monitor`](crate::Monitor) |
//! | the client's address too | [`Peer`] |
//! | the end of the request, in HTTP/2 also when the connection stays open | [`Exchange`](crate::http::Exchange), with the middleware [`follow`] |
//!
//! For a graceful shutdown, end the remaining connections with [`connections`](crate::MonitoredListener::connections) of
//! the listener. axum waits for them forever otherwise.
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
//! # A handler that must complete
//!
//! hyper drops a handler's future when it detects that the client has left, and over HTTP/2 also when the client cancels
//! the request. Nothing after the `.await` at that moment is run: money is sent and not recorded, or a connection of a pool is
//! returned in the middle of a reply. Spawn such work and await its task, which continues when the handler is dropped:
//!
//! ```
//! use axum::{Router, http::StatusCode, routing::post};
//! use hangup::MonitoredListener;
//! use std::time::Duration;
//! use tokio::io::AsyncWriteExt;
//! use tokio::sync::mpsc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let (log, mut lines) = mpsc::unbounded_channel();
//! let pay = async move || {
//!     let payment = tokio::spawn(async move {
//!         log.send("sent").unwrap();
//!         tokio::time::sleep(Duration::from_millis(20)).await; // the bank answers
//!         log.send("recorded").unwrap();
//!     });
//!     match payment.await {
//!         Ok(()) => StatusCode::NO_CONTENT,
//!         Err(_) => StatusCode::INTERNAL_SERVER_ERROR, // the task has panicked
//!     }
//! };
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let router = Router::new().route("/pay", post(pay));
//! tokio::spawn(axum::serve(listener, router).into_future());
//!
//! let mut client = tokio::net::TcpStream::connect(address).await?;
//! client.write_all(b"POST /pay HTTP/1.1\r\nHost: bank\r\nContent-Length: 0\r\n\r\n").await?;
//! assert_eq!(lines.recv().await, Some("sent"));
//! drop(client); // it does not wait for the answer
//! assert_eq!(lines.recv().await, Some("recorded"));
//! # Ok(())
//! # }
//! ```
//!
//! `CancelLayer` of the feature `tower`, with a grace period, is for work that takes a moment longer.
//!
//! # WebSockets
//!
//! A handler takes the [`Monitor`](crate::Monitor) beside axum's `WebSocketUpgrade`, and moves it into `on_upgrade`. The
//! monitor belongs to the connection, so it closes with the connection, and not with the response 101. An
//! [`Exchange`](crate::http::Exchange) does the same. A client that is killed sends no close frame, so put
//! [`run_until_closed`](crate::Monitor::run_until_closed) around the work for it. A receive may fail first. Its error
//! does not distinguish a FIN from a reset, but the monitor does. The recipe `websocket` of `hangup::_cookbook` is a
//! broadcast.
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
#[cfg(feature = "tower")]
pub(crate) use extract::monitor;
pub use extract::{NotFollowed, NotMonitored};
pub use follow::follow;
pub use make_service::{ConnectionService, MakeService, into_make_service};
pub use monitored::Monitored;
pub use peer::Peer;
