//! What a server needs from a stream, besides reading and writing.

use crate::stream::MonitoredStream;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use crate::stream::SocketWrite;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream that a [`Listener`](super::Listener) returns. Sealed, like the listener.
#[expect(unnameable_types, reason = "a part of the sealed trait")]
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether the kernel can send files into it.
    const SENDS_FILES: bool = false;

    /// The bytes that a protocol below, TLS, has received so far.
    fn received_below(&self) -> u64 {
        0
    }

    /// Writes bytes that are immediately followed by more, so that the head of a response and the start of a file can
    /// share a packet.
    fn poll_write_more(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let _ = (cx, bytes);
        Poll::Ready(Err(ErrorKind::Unsupported.into()))
    }

    /// Makes the kernel send up to `length` bytes of `file`, starting at `at` (sendfile(2)).
    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        at: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let _ = (cx, file, at, length);
        Poll::Ready(Err(ErrorKind::Unsupported.into()))
    }

    /// Makes the kernel send full packets only, until it is told otherwise.
    fn cork(&mut self, cork: bool) {
        let _ = cork;
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
impl ByteStream for MonitoredStream<TcpStream> {
    const SENDS_FILES: bool = true;

    fn poll_write_more(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        use rustix::net::{SendFlags, send};
        self.poll_write_with(cx, |socket| {
            rustix::io::retry_on_intr(|| send(socket, bytes, SendFlags::MORE | SendFlags::NOSIGNAL))
                .map_err(io::Error::from)
        })
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        at: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |socket| {
            let mut at = at;
            rustix::io::retry_on_intr(|| rustix::fs::sendfile(socket, file, Some(&mut at), length))
                .map_err(io::Error::from)
        })
    }

    fn cork(&mut self, cork: bool) {
        // It saves work, and changes no byte: a socket that does not have it (MPTCP before Linux 5.16) does without.
        let _ = rustix::net::sockopt::set_tcp_cork(self.get_ref(), cork);
    }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback))))]
impl ByteStream for MonitoredStream<TcpStream> {}

#[cfg(unix)]
impl ByteStream for MonitoredStream<tokio::net::UnixStream> {}

#[cfg(feature = "tls")]
impl ByteStream for crate::tls::ServerStream {
    fn received_below(&self) -> u64 {
        self.get_ref().get_ref().0.received()
    }
}
