//! For HTTP servers: what a handler can know about its client, with any HTTP library.
//!
//! May use `monitor`, `state` and `errors`. Used by `axum`, `tonic` and `serve`.
//!
//! | item | what it is |
//! |---|---|
//! | [`UntilClosed`](crate::UntilClosed) | a body, or a stream of events, that ends when the connection closes |
//! | [`producer`] | a bounded queue from a thread that computes or blocks to a body; its sender learns when nobody receives any more |
//! | [`StallBody`], [`producer_with_policy`] | a bound for one response: what it holds is freed when the client takes too little of it |
//! | [`Exchange`] | one request and its response: one future, [`Gone`], for the end of the connection or of the request |
//!
//! For axum see [`hangup::axum`](crate::axum), for tonic [`hangup::tonic`](crate::tonic); each is a separate
//! feature. hyper needs nothing more: wrap the connection in `TokioIo`, and let the service capture the monitor.
//!
//! # Which of them to use
//!
//! | the response | use |
//! |---|---|
//! | a short answer after short work | nothing: a write fails soon enough |
//! | an answer after long async work | [`run_until_closed`](crate::Monitor::run_until_closed) around the work, or [`Exchange::gone`] beside it |
//! | an answer after a long computation | [`probe`](crate::Monitor::probe) or [`Exchange::is_gone`] in the loop |
//! | server-sent events or rows from a task | [`producer`] and [`send`](Producer::send) |
//! | tokens from a thread that computes | [`producer`] and [`blocking_send`](Producer::blocking_send) |
//! | a body or `Stream` that exists already | [`until_closed`](crate::UntilClosedExt::until_closed) |
//! | a large download over HTTP/2 | [`StallBody`], or [`serve`](crate::serve), which bounds every stream |
//! | work that a client may reconnect to | [`grace_period`](crate::Monitor::grace_period) |
//! | anything with an access log | [`Exchange`]: its [`GoneReason`] says how the request ended |
//!
//! # A server with hyper
//!
//! ```no_run
//! use hangup::MonitoredListener;
//! use hangup::UntilClosedExt;
//! use http_body_util::Full;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, body::Incoming, server::conn::http1};
//! use hyper_util::rt::TokioIo;
//! use std::convert::Infallible;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         // `accept` returns errors of single connections too, which must not end the server.
//!         let (stream, client) = listener.accept_retrying().await;
//!         let monitor = stream.monitor();
//!         let service = service_fn(move |_: Request<Incoming>| {
//!             let monitor = monitor.clone();
//!             async move {
//!                 let body = Full::new(&b"hello\n"[..]).until_closed(&monitor);
//!                 Ok::<_, Infallible>(Response::new(body))
//!             }
//!         });
//!         let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
//!         tokio::spawn(async move {
//!             if let Err(error) = connection.await {
//!                 eprintln!("{client}: {error}");
//!             }
//!         });
//!     }
//! }
//! ```
//!
//! # The connection and the request
//!
//! A monitor reports the end of the connection. In HTTP/1.1 a client can cancel a request only by closing the
//! connection, so the two ends are the same.
//!
//! In HTTP/2 many requests share a connection. A client that closes a tab or cancels a call resets one stream
//! (`RST_STREAM`) and keeps the rest; the connection stays open, and so does its monitor. The HTTP library signals
//! the end of a request by dropping what it no longer needs: the handler's future, or the response body.
//! [`Exchange`] combines both signals. An HTTP/2 server always reads its connection, so unread data never hides a
//! disconnect from it.
//!
//! | the client | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | closes the tab, or cancels a fetch | the connection closes: the [`Monitor`](crate::Monitor) reports it | one stream is reset: only the [`Exchange`] or the [`Producer`] reports it |
//! | quits, or its process dies | the connection closes | the connection closes: every exchange of it ends |
//! | loses its network | nothing arrives: [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) | the same |
//! | stops reading one response | the connection stalls: [`stall`](crate::MonitorConfig::stall) | one window stays closed: [`StallBody`], [`producer_with_policy`] |
//! | stops reading all of them | the same | every window stays closed; the connection still answers pings |
//!
//! A client that stays connected and does not read one stream leaves that stream's window closed. No
//! [`StallPolicy`](crate::StallPolicy) of the connection applies, because HTTP/2 has flow control of its own and the
//! client still answers pings. A policy of the response does: [`StallBody`], [`producer_with_policy`], and
//! [`ExchangeGuard::body_with_policy`].
//!
//! # What the library does by itself
//!
//! hyper drops the handler's future when it reads the end of the connection. In HTTP/1.1 it reads ahead while the
//! handler runs, but not behind a pipelined request, nor behind a request body that nobody reads. There the monitor
//! detects the disconnect and hyper does not: await [`closed`](crate::Monitor::closed) or [`gone`](Exchange::gone)
//! beside the work.
//!
//! A future that hyper has dropped runs no further, not even to the arm of an error. To log why a client left, await
//! [`closed`](crate::Monitor::closed) in a task of its own, or after the future of the connection.
//!
//! A FIN behind more unread body than the receive buffer holds goes unnoticed until the body is read. With Linux's
//! default buffers a FIN behind 100 kB was detected, and a FIN behind 130 kB was not. Workaround: read the body before the long
//! work starts, or set [`read_ahead`](crate::MonitorConfig::read_ahead), which reads while the response is written.
//! A reset is always detected.

mod body_error;
mod exchange;
mod exchange_body;
mod exchange_guard;
mod gone;
mod gone_reason;
mod judged;
mod parts;
mod producer;
mod producer_error;
mod producer_stream;
mod progress;
mod request;
mod stall_body;
mod stall_stream;
mod until_closed;

pub use body_error::BodyError;
pub use exchange::Exchange;
pub use exchange_body::ExchangeBody;
pub use exchange_guard::ExchangeGuard;
pub use gone::Gone;
pub use gone_reason::GoneReason;
#[cfg(feature = "serve")]
pub(crate) use parts::Parts;
pub use producer::{Producer, producer};
pub use producer_error::ProducerError;
pub use producer_stream::ProducerStream;
#[cfg(feature = "serve")]
pub(crate) use progress::Progress;
pub use stall_body::StallBody;
pub use stall_stream::{StallStream, producer_with_policy};
