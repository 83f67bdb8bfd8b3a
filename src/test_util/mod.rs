//! Test utilities: streams and monitors whose peer is the test.
//!
//! May use `stream`, `monitor`, `watcher` and `state`. No other room uses it.
//!
//! Enable the feature `test-util` in the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! hangup = { version = "0.1", features = ["test-util"] }
//! ```
//!
//! # A handler that takes a monitor
//!
//! [`Monitor::for_test`](crate::Monitor::for_test) returns a monitor without a stream, and a [`Remote`] that closes it.
//! It needs no socket, no runtime and no sleep: [`hang_up`](Remote::hang_up) wakes the handler before it returns.
//!
//! ```
//! use hangup::{CloseReason, Monitor};
//!
//! /// Makes tokens until nobody receives them.
//! async fn tokens(monitor: Monitor, mut token: impl FnMut(usize)) -> (usize, CloseReason) {
//!     let mut made = 0;
//!     loop {
//!         if let Some(reason) = monitor.close_reason() {
//!             return (made, reason);
//!         }
//!         token(made);
//!         made += 1;
//!         tokio::task::yield_now().await;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (monitor, remote) = Monitor::for_test();
//! let stopped = tokens(monitor, |number| {
//!     if number == 2 {
//!         remote.hang_up(CloseReason::PeerClosed);
//!     }
//! });
//! assert_eq!(stopped.await, (3, CloseReason::PeerClosed));
//! # }
//! ```
//!
//! # An axum handler
//!
//! axum's `MockConnectInfo` replaces the listener. It takes a [`Monitor`](crate::Monitor) or a
#![cfg_attr(feature = "axum", doc = "[`Peer`](crate::axum::Peer)")]
#![cfg_attr(not(feature = "axum"), doc = "`Peer`")]
//! and the test calls the router as a service.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::Router;
//! use axum::extract::{Request, connect_info::MockConnectInfo};
//! use axum::response::sse::{Event, Sse};
//! use axum::routing::get;
//! use futures::StreamExt;
//! use hangup::http::{ProducerStream, producer};
//! use hangup::{CloseReason, Monitor};
//! use std::convert::Infallible;
//! use tower::ServiceExt;
//!
//! async fn events(monitor: Monitor) -> Sse<ProducerStream<Result<Event, Infallible>>> {
//!     let (mut producer, items) = producer(&monitor, 1);
//!     tokio::spawn(async move {
//!         while producer.send(Ok(Event::default().data("tick"))).await.is_ok() {}
//!     });
//!     Sse::new(items)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (monitor, remote) = Monitor::for_test();
//! let router = Router::new().route("/events", get(events)).layer(MockConnectInfo(monitor));
//! let request = Request::get("/events").body(axum::body::Body::empty()).unwrap();
//! let mut body = router.oneshot(request).await.unwrap().into_body().into_data_stream();
//!
//! assert_eq!(body.next().await.unwrap().unwrap(), "data: tick\n\n");
//! remote.hang_up(CloseReason::Reset);
//! while body.next().await.is_some() {} // what was on its way, and the end
//! # }
//! ```
//!
//! # A handler that takes a stream
//!
//! [`scripted`] wraps any stream, such as a `tokio::io::duplex` or the [`Builder`] of tokio-test. The test controls both
//! the bytes and the disconnect.
//!
//! ```
//! use hangup::test_util::scripted;
//! use hangup::{CloseReason, MonitoredStream};
//! use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
//!
//! async fn greet<S>(mut stream: MonitoredStream<S>) -> std::io::Result<CloseReason>
//! where
//!     S: AsyncRead + AsyncWrite + Unpin,
//! {
//!     let mut name = [0; 3];
//!     stream.read_exact(&mut name).await?;
//!     stream.write_all(b"hello ").await?;
//!     stream.write_all(&name).await?;
//!     Ok(stream.closed().await) // an idle connection
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let io = tokio_test::io::Builder::new().read(b"Ann").write(b"hello ").write(b"Ann").build();
//! let (stream, remote) = scripted(io);
//! let handler = tokio::spawn(greet(stream));
//! tokio::task::yield_now().await;
//! remote.hang_up(CloseReason::TimedOut);
//! assert_eq!(handler.await.unwrap()?, CloseReason::TimedOut);
//! # Ok(())
//! # }
//! ```
//!
//! # Real sockets and paused time
//!
//! A pair of Unix sockets needs no port, and the watcher works under tokio's paused clock. The clock advances only when
//! no event of the kernel is left, so a test of a one-hour timeout takes milliseconds.
//!
//! ```
//! # #[cfg(unix)] {
//! use hangup::{CloseReason, MonitoredStream};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> std::io::Result<()> {
//! let (ours, peer) = tokio::net::UnixStream::pair()?;
//! let stream = MonitoredStream::new(ours)?;
//! let work = async {
//!     tokio::select! {
//!         reason = stream.closed() => reason,
//!         () = tokio::time::sleep(Duration::from_secs(3600)) => panic!("the client was not missed"),
//!     }
//! };
//! drop(peer);
//! assert_eq!(work.await, CloseReason::PeerClosed);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # A client that does not read
//!
//! The other side of a `duplex` that nobody reads is such a client. Under the paused clock a window of half a minute takes no time:
//!
//! ```
//! use hangup::test_util::scripted_with_config;
//! use hangup::{CloseReason, MonitorConfig, StallPolicy};
//! use std::time::Duration;
//! use tokio::io::AsyncWriteExt;
//! use tokio::time::Instant;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let policy = StallPolicy::new(1024, Duration::from_secs(30));
//! let (io, _client) = tokio::io::duplex(64);
//! let (mut stream, _remote) = scripted_with_config(io, &MonitorConfig::new().stall(policy));
//! let began = Instant::now();
//! let error = stream.write_all(&[0; 4096]).await.unwrap_err();
//! assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
//! assert!(began.elapsed() <= Duration::from_secs(33)); // a window and a tenth
//! # }
//! ```
//!
//! # Acknowledged bytes
//!
//! [`Remote::acknowledge`] plays the peer's TCP, for a program that waits for its acknowledgements
//! ([`Monitor::wait_acknowledged`](crate::Monitor::wait_acknowledged), or `Confirm::Acknowledged` of an outbox).
//!
//! # A simulated network
//!
//! The streams of [turmoil](https://docs.rs/turmoil) have no descriptor:
//! [`MonitoredStream::unwatched`](crate::MonitoredStream::unwatched) learns from their reads and writes, and with
//! [`scripted`] the simulation can disconnect.
//!
//! [`Builder`]: https://docs.rs/tokio-test/latest/tokio_test/io/struct.Builder.html

mod for_test;
mod remote;
mod scripted;

pub use remote::Remote;
pub use scripted::{scripted, scripted_with_config};
