//! For HTTP servers: what a handler can know of its client, whatever the library.
//!
//! | | what |
//! |---|---|
//! | [`UntilClosed`] | a body, or a stream of events, that ends when the connection is over |
//! | [`producer`] | a bounded queue from a thread that computes or blocks to a body, whose sender hears of the end |
//! | [`Exchange`] | one request and its response: one future, [`Gone`], for the end of either the connection or the request |
//!
//! With axum see [`hangup::axum`](crate::axum), with tonic [`hangup::tonic`](crate::tonic); each is a
//! feature of its own. hyper needs no more than this: wrap the connection in `TokioIo`, and let the service
//! capture the monitor.
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
//!         let (stream, client) = listener.accept().await?;
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
//! A monitor tells of the connection. In HTTP/1.1 a client that wants no more of a response has no other
//! way to say so than to close the connection: the two are one.
//!
//! In HTTP/2 many requests share a connection, and a client that closes a tab, or cancels a call, resets
//! the one stream (`RST_STREAM`) and keeps the rest. The connection stays open, and its monitor is right
//! to say so. That a request is over the HTTP library tells in its own way: it drops what it no longer
//! needs, the handler's future or the response's body. [`Exchange`] makes one answer of the two. An
//! HTTP/2 server always reads its connection: it has no blind spots of the kind that unread data makes,
//! and learns of a client that is there and does not read no more than others do (see
//! [`StallPolicy`](crate::StallPolicy)).
//!
//! # What the library does by itself
//!
//! hyper drops the handler's future when it reads the end of the connection. In HTTP/1.1 it reads ahead
//! while the handler runs, but not behind a pipelined request, nor behind a request's body that nobody
//! reads. There the monitor tells and hyper does not: a handler that should stop then awaits
//! [`closed`](crate::Monitor::closed) or [`gone`](Exchange::gone) beside its work.
//!
//! Of a FIN that waits behind more unread body than our receive buffer has room for nobody hears before the
//! body is read. With Linux's default buffers 100 kB were seen through, and 130 kB were not. Way out: take
//! the body before the long work begins, or [`read_ahead`](crate::MonitorConfig::read_ahead), which
//! reads ahead while the response is being written. A reset is seen in any case.

mod body_error;
mod exchange;
mod gone;
mod gone_reason;
mod producer;
mod request;
mod until_closed;

pub use body_error::BodyError;
pub use exchange::{Exchange, ExchangeBody, ExchangeGuard};
pub use gone::Gone;
pub use gone_reason::GoneReason;
pub use producer::{Producer, ProducerError, ProducerStream, producer};
