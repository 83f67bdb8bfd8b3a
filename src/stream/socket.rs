//! The sockets of tokio that report readiness.

use rustix::fd::AsFd;
use std::future::Future;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, Ready};
use tokio::net::TcpStream;

/// A socket of tokio's that can be read and written without waiting: `TcpStream` and `UnixStream`.
///
/// It is the bound of [`MonitoredStream::try_read`](crate::MonitoredStream::try_read) and its siblings. It is sealed: a
/// stream that buffers, such as TLS, has no readiness of its own.
///
/// ```
/// use hangup::{DirectIo, MonitoredListener, MonitoredStream};
/// use std::io::{self, ErrorKind};
/// use tokio::io::AsyncWriteExt;
///
/// /// Takes everything that has arrived, without waiting.
/// fn take<S: DirectIo>(stream: &mut MonitoredStream<S>) -> io::Result<Vec<u8>> {
///     let (mut taken, mut chunk) = (Vec::new(), [0; 1024]);
///     loop {
///         match stream.try_read(&mut chunk) {
///             Ok(0) => return Ok(taken),
///             Ok(bytes) => taken.extend(&chunk[..bytes]),
///             Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
///             Err(error) => return Err(error),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
/// assert_eq!(take(&mut stream)?, b"");
/// client.write_all(b"hello").await?;
/// stream.readable().await?;
/// assert_eq!(take(&mut stream)?, b"hello");
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read and written without waiting",
    note = "`try_read`, `try_write` and `readable` are for a `TcpStream` and a `UnixStream`: elsewhere use `AsyncRead` and `AsyncWrite`"
)]
pub trait DirectIo: sealed::Socket {}

impl DirectIo for TcpStream {}

#[cfg(unix)]
impl DirectIo for tokio::net::UnixStream {}

mod sealed {
    use super::{
        AsFd, AsyncRead, AsyncWrite, Context, Future, Interest, IoSlice, Poll, Ready, TcpStream, io,
    };

    #[expect(unnameable_types, reason = "this is what seals `DirectIo`")]
    pub trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin {
        fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send;
        fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
        fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
        fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
        fn try_write(&self, buf: &[u8]) -> io::Result<usize>;
        fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
        /// Calls `send`, and clears the readiness if it returns "would block".
        fn try_write_io<T>(&self, send: impl FnOnce() -> io::Result<T>) -> io::Result<T>;
    }

    macro_rules! socket {
        ($socket:ty) => {
            impl Socket for $socket {
                fn ready(
                    &self,
                    interest: Interest,
                ) -> impl Future<Output = io::Result<Ready>> + Send {
                    self.ready(interest)
                }

                fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.poll_read_ready(cx)
                }

                fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.poll_write_ready(cx)
                }

                fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                    self.try_read(buf)
                }

                fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                    self.try_write(buf)
                }

                fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                    self.try_write_vectored(bufs)
                }

                fn try_write_io<T>(&self, send: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
                    self.try_io(Interest::WRITABLE, send)
                }
            }
        };
    }

    socket!(TcpStream);
    #[cfg(unix)]
    socket!(tokio::net::UnixStream);
}
