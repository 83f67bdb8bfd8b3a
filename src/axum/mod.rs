//! For axum: a listener, extractors, and a middleware.
//!
//! * [`MonitoredListener`](crate::MonitoredListener) is an [`axum::serve::Listener`], and with the feature `tls`
//!   so is `TlsListener`.
//! * Served by `into_make_service_with_connect_info::<Monitor>()` (or [`Peer`], which has the address too),
//!   a handler takes its connection's [`Monitor`](crate::Monitor) as an argument.
//! * With the middleware [`follow`] it takes an [`Exchange`](crate::http::Exchange), which tells of the end of
//!   its request too, and every response's body ends with the connection.
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
//!             // Computed for somebody: at most one token more than that is made.
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
//! What a connection's end means for a request, and what hyper does by itself: [`hangup::http`](crate::http).

mod extract;
mod follow;
mod listener;
mod peer;
#[cfg(feature = "tls")]
mod tls;

pub use extract::{NotFollowed, NotMonitored};
pub use follow::follow;
pub use peer::Peer;
