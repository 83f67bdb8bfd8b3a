//! Which streams can be watched.

use rustix::fd::{AsFd, BorrowedFd};

/// A stream with one descriptor under it: what [`MonitoredStream::new`](crate::MonitoredStream::new) accepts.
///
/// Everything that implements `AsFd` (on Windows: `AsSocket`) is watchable: tokio's `TcpStream`, `UnixStream`,
/// `unix::pipe::{Sender, Receiver}`, `ChildStdin`, `ChildStdout`, `ChildStderr`, `Stdout`, and wrappers over
/// them. With the feature `tls`, so are the streams of tokio-rustls, which implement `AsRawFd` alone.
///
/// On Windows only sockets are watchable. Named pipes and a child's standard input and output are file handles without
/// `AsSocket`, so the compiler refuses them. Use [`with_signal`](crate::MonitoredStream::with_signal) with the exit of
/// the child, or [`unwatched`](crate::MonitoredStream::unwatched), which detects the end at the next read or write.
///
/// `AsRawFd` is not enough: it is a safe trait that may return any number, and the watcher acts on the descriptor, for
/// example when [`abort`](crate::Monitor::abort) resets the connection. A [`BorrowedFd`] can only come from the owner of
/// the descriptor.
///
/// The parameter `By` is inferred. It keeps implementations of different crates apart: a crate that wraps a type of
/// another crate implements the trait with a marker type of its own:
///
/// ```
/// # #[cfg(unix)] {
/// use hangup::{MonitoredStream, Watchable};
/// use std::os::fd::{AsFd, BorrowedFd};
/// use tokio::io::BufStream;
/// use tokio::net::TcpStream;
///
/// enum Buffered {}
///
/// impl Watchable<Buffered> for BufStream<TcpStream> {
///     fn descriptor(&self) -> BorrowedFd<'_> {
///         self.get_ref().as_fd()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let stream = MonitoredStream::new(BufStream::new(client))?;
/// assert!(!stream.is_closed());
/// # Ok(())
/// # }
/// # main().unwrap();
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no descriptor that can be watched",
    label = "neither `AsFd` (`AsSocket` on Windows) nor a watchable TLS stream",
    note = "use `MonitoredStream::with_signal` or `MonitoredStream::unwatched` for a stream without a descriptor",
    note = "Windows' named pipes and the standard streams of its child processes are no sockets",
    note = "the streams of tokio-rustls need hangup's feature `tls`"
)]
pub trait Watchable<By = ByDescriptor> {
    /// The descriptor of the stream. It must be the same one for as long as the stream lives.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// The way to the descriptor of a type that implements `AsFd` (on Windows: `AsSocket`): see [`Watchable`].
///
/// A program never names it, except in a bound:
///
/// ```
/// use hangup::{ByDescriptor, MonitoredStream, Watchable};
/// use std::io;
///
/// /// Monitors any stream with a descriptor of its own.
/// fn monitored<S: Watchable<ByDescriptor>>(stream: S) -> io::Result<MonitoredStream<S>> {
///     MonitoredStream::new(stream)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// assert!(!monitored(client)?.is_closed());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ByDescriptor {}

impl<T: AsFd> Watchable<ByDescriptor> for T {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}
