//! Know at once, and with the reason, that the peer of an async stream is gone.
//!
//! A program that sends a large or endless stream should stop when nobody receives it any more. It
//! seldom does: a write fails late or never, a watcher that reads goes blind behind unread data, and a
//! blocked writer waits for ever. `hangup` wraps the stream and lets the operating system tell, without
//! a read, a write, or a task per connection.
//!
//! The entry point of this crate is [`MonitoredStream`].
//!
//! ```
//! use hangup::MonitoredListener;
//! use tokio::io::AsyncWriteExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
//! # tokio::spawn(async move { drop(client) });
//! let (mut stream, peer) = listener.accept().await?;
//! let mut closed = stream.closed();
//! let reason = loop {
//!     tokio::select! {
//!         reason = &mut closed => break reason,
//!         written = stream.write_all(&[0; 65536]) => {
//!             if let Err(error) = written {
//!                 break (&error).into();
//!             }
//!         }
//!     }
//! };
//! println!("{peer}: {reason} after {} bytes", stream.monitor().transfer().accepted);
//! # Ok(())
//! # }
//! ```
//!
//! * [`stream.closed()`](MonitoredStream::closed) resolves to the [`CloseReason`]; it borrows nothing,
//!   and any number of tasks may await it.
//! * [`stream.monitor()`](MonitoredStream::monitor) is a cloneable handle for elsewhere:
//!   [`run_until_closed`](Monitor::run_until_closed) for futures,
//!   [`cancellation_token`](Monitor::cancellation_token) for what takes one,
//!   [`grace_period`](Monitor::grace_period) for what a client may come back for,
//!   [`subscribe`](Monitor::subscribe) for a watch channel, [`probe`](Monitor::probe) for producers that
//!   compute or block, and [`transfer`](Monitor::transfer) for how many bytes were read and accepted.
//! * [`stream.send_file()`](MonitoredStream::send_file) has the kernel send a range of a file, and stops
//!   when the peer is gone.
//! * A write on a closed stream fails at once, and a blocked one is woken and fails, with an
//!   [`io::Error`](std::io::Error) that carries the reason.
//!
//! # When a stream closes
//!
//! | what happens | reason |
//! |---|---|
//! | the peer's FIN, before we had finished sending | [`PeerClosed`](CloseReason::PeerClosed) |
//! | the peer's FIN, after our own shutdown | [`Finished`](CloseReason::Finished) |
//! | a reset | [`Reset`](CloseReason::Reset) |
//! | the system's keepalive or user timeout ran out | [`TimedOut`](CloseReason::TimedOut) |
//! | the network or the host is unreachable, and the system gave up | [`Unreachable`](CloseReason::Unreachable) |
//! | the peer drains less than the [`StallPolicy`] asks for | [`Stalled`](CloseReason::Stalled) |
//! | TLS: an end without close_notify, an alert, a record that cannot be read | [`Truncated`](CloseReason::Truncated), [`TlsAlert`](CloseReason::TlsAlert), [`Tls`](CloseReason::Tls) |
//! | [`abort`](Monitor::abort), by us | [`Aborted`](CloseReason::Aborted) |
//! | any other error of a read or a write | [`Failed`](CloseReason::Failed) and others |
//! | the stream is dropped, or taken out of its wrapper | [`Dropped`](CloseReason::Dropped) |
//! | the runtime is shut down | [`RuntimeShutdown`](CloseReason::RuntimeShutdown) |
//!
//! A peer that half-closes and reads on is taken for one that left, as in nginx, Go and hyper, unless
//! [`HalfClose::Allow`] says otherwise. The first reason wins and never changes. What arrived before
//! the hang-up stays readable after it.
//!
//! # What cannot be seen
//!
//! * A FIN that waits at the peer behind data for which our receive window has no room. A reset is seen.
//!   Way out: read, or [`MonitorConfig::read_ahead`].
//! * Whether a FIN means half-close or close, until something that we send is answered by a reset.
//! * A peer that vanished without a word: only timers tell. [`MonitorConfig::dead_peer_timeout`] arms the
//!   system's; when they run out, the watcher tells.
//! * A peer that is there and reads nothing: only time tells. Way out: a [`StallPolicy`].
//! * What the peer's program has done with the bytes. Accepted means that our kernel took them.
//! * Anything, by the watcher, while every worker of its runtime is blocked: [`Monitor::probe`] asks the
//!   kernel directly.
//!
//! # Which streams
//!
//! Whatever has one socket under it is watched: `TcpStream`, `UnixStream`, and TLS streams over them, in
//! either order (`MonitoredStream<TlsStream<TcpStream>>` or `TlsStream<MonitoredStream<TcpStream>>`) or in both
//! places ([`MonitoredStream::layer`]).
//! Others learn from their own reads and writes: [`MonitoredStream::unwatched`].
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what |
//! |---|---|
//! | `axum` | a listener, extractors and a middleware for axum; brings `http` |
//! | `codec` | frames, and `Stream`s and `Sink`s that end with the stream: `UntilClosedExt` |
//! | `durable` | a store on disk for the outbox: what it has accepted survives a crash and a power cut |
//! | `http` | bodies, streams and producers that end with the connection, for hyper and any other |
//! | `metrics` | counters for a recorder of the [`metrics`](https://docs.rs/metrics) facade, Prometheus' for instance |
//! | `outbox` | a sender that keeps messages until they are confirmed, and sends them again after a reconnect |
//! | `tls` | TLS by tokio-rustls, monitored from before the handshake; `ring`, `aws-lc-rs` and `tls12` choose its cryptography |
//! | `tonic` | connections for tonic's server, with the monitor in the request's extensions; brings `http` |
//! | `tracing` | an event of [`tracing`](https://docs.rs/tracing) at the end of each stream, in the span in which it began |
//!
//! # Platforms
//!
//! Linux uses a nested epoll, one per runtime. macOS and the BSDs use a nested kqueue: type-checked, not
//! run yet. Windows and the rest have a fallback that looks at every socket each 50 ms, and may miss a
//! FIN behind unread data; it is type-checked for Windows and tested on Linux.
//!
//! # Cancel safety
//!
//! A method is cancel safe if its future may be dropped before it is ready, and nothing is lost. All of
//! this crate's are, as long as what they wrap is; each says so.
//!
//! # Comparison to watching by reading
//!
//! A task that reads in order to hear the end of the input takes the data from whoever wants it, must
//! put it somewhere, and stops hearing when it stops reading: behind a pipelined request, an unread
//! body, or a paused reader. tokio's `ready(Interest::READABLE)` does not read, and spins on unread
//! data. The watcher is told by the kernel of the hang-up itself (`EPOLLRDHUP`, epoll_ctl(2)).

#[cfg(feature = "axum")]
pub mod axum;
pub mod errors;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tonic")]
pub mod tonic;

mod monitor;
mod observe;
mod policy;
mod state;
mod stream;
mod transfer;
mod watcher;

pub use errors::{CloseReason, Failure};
#[cfg(feature = "codec")]
pub use monitor::SinkError;
pub use monitor::{Grace, GraceExpired, Monitor};
#[cfg(any(feature = "codec", feature = "http"))]
pub use monitor::{UntilClosed, UntilClosedExt};
#[cfg(feature = "metrics")]
pub use observe::metrics;
#[cfg(feature = "tracing")]
pub use observe::tracing;
pub use policy::{MonitorConfig, StallPolicy};
pub use state::{Closed, HalfClose, Status, Transfer};
pub use stream::{MonitoredListener, MonitoredStream, Transport};
pub use transfer::{CopyOutcome, CopySide, copy_bidirectional, copy_bidirectional_with_sizes};
