//! Know immediately when, and why, the other end of an async stream has gone away.
//!
//! A program that sends a large or endless stream should stop when nobody receives it any more. It
//! seldom does: write errors come late or never, a task that reads to detect EOF misses it behind
//! unread data, and a blocked writer waits forever. `hangup` wraps the stream and gets the news
//! straight from the OS: no reads, no writes, no task per connection.
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
//! The snippet needs tokio's features `macros`, `net`, `io-util` and a runtime (`rt` or `rt-multi-thread`).
//!
//! * [`stream.closed()`](MonitoredStream::closed) is a future that resolves to the [`CloseReason`]. It
//!   borrows nothing, and any number of tasks may await it.
//! * [`stream.monitor()`](MonitoredStream::monitor) is a cloneable handle for other tasks and threads:
//!   [`run_until_closed`](Monitor::run_until_closed) and [`run_io`](Monitor::run_io) bound a future,
//!   [`cancellation_token`](Monitor::cancellation_token) cancels what takes a token,
//!   [`grace_period`](Monitor::grace_period) keeps work alive that a client may reconnect to,
//!   [`subscribe`](Monitor::subscribe) is a watch channel, [`probe`](Monitor::probe) serves producers that
//!   compute or block, and [`transfer`](Monitor::transfer) counts the bytes that got through.
//! * [`stream.send_file()`](MonitoredStream::send_file) lets the kernel send a range of a file, and stops
//!   when the peer disconnects.
//! * A write on a closed stream fails at once, and a blocked write is woken and fails, with an
//!   [`io::Error`](std::io::Error) that carries the reason.
//!
//! # Where to start
//!
//! | you write | start with |
//! |---|---|
//! | a TCP server, or a loop that sends to one peer | [`MonitoredListener`], [`MonitoredStream`] |
//! | an HTTP or gRPC server | the module `axum`, `tonic` or `serve`; for other libraries `http` |
//! | a client that must not lose messages | the module `outbox` |
//! | a proxy | [`copy_bidirectional`] |
//! | code that reacts to an error | the module [`errors`] |
//!
//! # When a stream closes
//!
//! | what happens | reason |
//! |---|---|
//! | the peer's FIN, before we had finished sending | [`PeerClosed`](CloseReason::PeerClosed) |
//! | the peer's FIN, after our own shutdown | [`Finished`](CloseReason::Finished) |
//! | a reset | [`Reset`](CloseReason::Reset) |
//! | the system's keepalive or user timeout expires | [`TimedOut`](CloseReason::TimedOut) |
//! | the network or the host is unreachable, and the system gives up | [`Unreachable`](CloseReason::Unreachable) |
//! | the peer reads less than the [`StallPolicy`] asks for | [`Stalled`](CloseReason::Stalled) |
//! | TLS: an end without close_notify, an alert, an invalid record | [`Truncated`](CloseReason::Truncated), [`TlsAlert`](CloseReason::TlsAlert), [`Tls`](CloseReason::Tls) |
//! | we call [`abort`](Monitor::abort) | [`Aborted`](CloseReason::Aborted) |
//! | any other error of a read or a write | [`Failed`](CloseReason::Failed) and others |
//! | the stream is dropped, or taken out of its wrapper | [`Dropped`](CloseReason::Dropped) |
//! | the runtime shuts down | [`RuntimeShutdown`](CloseReason::RuntimeShutdown) |
//!
//! By default a half-close counts as a disconnect, as in Go's net/http and hyper. [`HalfClose::Allow`]
//! changes that. (nginx answers a half-closed GET of a file.) The first reason wins and never changes. Data
//! that arrived before the disconnect stays readable after it.
//!
//! # What cannot be seen
//!
//! * A FIN that the peer cannot send, because our receive window is full of unread data. A reset is seen.
//!   Workaround: read, or set [`MonitorConfig::read_ahead`].
//! * Whether a FIN is a half-close or a close, until a reset answers something that we send.
//! * A peer that loses power or network sends nothing; only a timeout can detect it.
//!   [`MonitorConfig::dead_peer_timeout`] arms the system's timers.
//! * A peer that stays connected and does not read; only a timeout can detect that too. Workaround: a
//!   [`StallPolicy`].
//! * What the peer's program has processed. "Accepted" means that our kernel took the bytes;
//!   "acknowledged" means that the peer's kernel did.
//! * Anything, through the watcher, while every worker thread of the runtime is blocked. [`Monitor::probe`]
//!   asks the kernel directly.
//!
//! # Which streams
//!
//! Any stream backed by a single descriptor can be watched ([`Watchable`]): TCP, MPTCP and Unix sockets, TLS
//! streams over them, in either order (`MonitoredStream<TlsStream<TcpStream>>` or
//! `TlsStream<MonitoredStream<TcpStream>>`) or on both sides ([`MonitoredStream::layer`]); on Linux also pipes,
//! FIFOs and the standard streams of a child ([`MonitoredStream::write_only`]). Files, terminals, listeners and
//! datagram sockets are refused. A transport without a descriptor, such as QUIC, reports its end by a future:
//! [`MonitoredStream::with_signal`]. A socket that another library owns is watched by [`WatchOnly`]. Every other stream learns from its own reads and writes:
//! [`MonitoredStream::unwatched`].
//!
//! # Recipes
//!
//! `hangup::_cookbook`, in the documentation only, has whole programs of 30 to 80 lines: log tail, server-sent events, TLS, a reverse
//! proxy, a connection pool, child processes, graceful shutdown, tests; with hyper, axum, tonic, warp, poem, actix-web and
//! tokio-postgres.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `axum` | a listener, extractors and a middleware for axum; implies `http` |
//! | `codec` | `Stream`s and `Sink`s that end with the stream: `UntilClosedExt` |
//! | `durable` | a store on disk for the outbox: accepted messages survive a crash and a power cut |
//! | `http` | bodies, streams and producers that end with the connection, for hyper and other HTTP libraries |
//! | `hyper-client` | `Connection` of hyper-util for [`MonitoredStream`]: a pooled client over monitored connections, whose responses have the [`Monitor`] in their extensions |
//! | `json` | JSON messages for the outbox, by serde; implies `outbox` |
//! | `metrics` | counters for a recorder of the [`metrics`](https://docs.rs/metrics) facade, such as Prometheus |
//! | `outbox` | a sender that keeps messages until they are confirmed, and resends them after a reconnect |
//! | `serve` | an HTTP server with limits, by hyper: for axum, tower and hyper; files by sendfile(2) |
//! | `test-util` | streams and monitors whose peer is the test, for the tests of handlers |
//! | `tls` | TLS by tokio-rustls, monitored from before the handshake; `ring`, `aws-lc-rs` and `tls12` choose its cryptography |
//! | `tonic` | connections for tonic's server, with the monitor in the request's extensions; implies `http` |
//! | `tower` | a layer that cancels the handler of a request when its client goes |
//! | `tracing` | a [`tracing`](https://docs.rs/tracing) event at the end of each stream, in the span in which it began |
//!
//! # Platforms
//!
//! Linux uses a nested epoll, one per runtime. macOS and the BSDs use a nested kqueue, which is type-checked
//! and has not run yet. Windows uses polls of its socket driver, `\Device\Afd`; that was run under Wine and not on Windows.
//! The rest polls every socket every 50 ms and may miss a FIN behind unread data. `docs/platforms.md` has the details.
//!
//! # Cancel safety
//!
//! A method is cancel safe if its future may be dropped before it completes and nothing is lost. Each async
//! method says whether it is. Those that are not: `send_file`, [`layer`](MonitoredStream::layer),
//! [`copy_bidirectional`] and the functions of the module `tls`.
//!
//! # Comparison to watching by reading
//!
//! A task that reads in order to detect the end of the input takes data away from its consumer, has to store
//! it, and detects nothing while it does not read: behind a pipelined request, an unread body, or a paused
//! reader. tokio's `ready(Interest::READABLE)` does not read, and spins on unread data. The watcher gets the
//! disconnect itself from the kernel (`EPOLLRDHUP`, epoll_ctl(2)).

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doc)]
pub mod _cookbook;
#[cfg(feature = "axum")]
pub mod axum;
pub mod errors;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "tower")]
pub mod tower;

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
pub use monitor::{Grace, GraceExpired, GraceToken, Monitor, RunError};
#[cfg(any(feature = "codec", feature = "http"))]
pub use monitor::{UntilClosed, UntilClosedExt};
#[cfg(feature = "metrics")]
pub use observe::metrics;
#[cfg(feature = "tracing")]
pub use observe::tracing;
pub use policy::{MonitorConfig, StallPolicy};
pub use state::{Closed, HalfClose, Status, Transfer};
pub use stream::{
    Addressed, Connections, DirectIo, MonitoredListener, MonitoredStream, OwnedReadHalf,
    OwnedWriteHalf, ReadHalf, ReuniteError, Transport, WatchOnly, WrapError, WriteHalf,
};
pub use transfer::{
    CopyOptions, CopyOutcome, CopySide, copy_bidirectional, copy_bidirectional_with_sizes,
};
pub use watcher::{ByDescriptor, Watchable};
