//! The error of a stream that cannot be watched.

use std::error::Error;
use std::fmt;
use std::io;

/// The error of [`MonitoredStream::try_new`](crate::MonitoredStream::try_new) and its variants. It contains the stream,
/// which is open and not watched.
///
/// With `?` it becomes an [`io::Error`], and the stream is dropped.
///
/// ```
/// use hangup::MonitoredStream;
/// use std::io::{self, ErrorKind};
/// use tokio::net::UdpSocket;
///
/// fn watch(socket: UdpSocket) -> io::Result<()> {
///     MonitoredStream::try_new(socket)?; // the error drops the socket
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let error = watch(UdpSocket::bind("127.0.0.1:0").await?).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.to_string().contains("it has no connection"));
/// # Ok(())
/// # }
/// ```
pub struct WrapError<S> {
    error: io::Error,
    io: S,
}

impl<S> WrapError<S> {
    pub(super) fn new(error: io::Error, io: S) -> Self {
        Self { error, io }
    }

    /// Why the stream cannot be watched.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::io::ErrorKind;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// let error = MonitoredStream::try_new(socket).unwrap_err();
    /// assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
    /// # Ok(())
    /// # }
    /// ```
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The stream.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// let socket = MonitoredStream::try_new(socket).unwrap_err().into_inner();
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_inner(self) -> S {
        self.io
    }

    /// The error and the stream.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// let (error, socket) = MonitoredStream::try_new(socket).unwrap_err().into_parts();
    /// assert!(error.to_string().contains("datagram"));
    /// assert!(socket.local_addr().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (io::Error, S) {
        (self.error, self.io)
    }
}

impl<S> From<WrapError<S>> for io::Error {
    fn from(error: WrapError<S>) -> Self {
        error.error
    }
}

impl<S> fmt::Debug for WrapError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrapError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Display for WrapError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S> Error for WrapError<S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
