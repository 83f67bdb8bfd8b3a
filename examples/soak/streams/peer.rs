//! The other end of a stream: bare, and never watched.

use hangup::CloseReason;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

pub(crate) enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    Memory(DuplexStream, Option<oneshot::Sender<CloseReason>>),
    Pipe(pipe::Receiver),
}

impl Peer {
    /// Closes in the orderly way.
    pub(crate) async fn leave(mut self) -> io::Result<()> {
        if let Self::Memory(_, signal) = &mut self {
            Self::signal(signal, CloseReason::PeerClosed);
        }
        match self {
            Self::Tls(mut stream) => stream.shutdown().await,
            _ => Ok(()),
        }
    }

    pub(crate) fn reset(self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
            Self::Memory(_, mut signal) => {
                Self::signal(&mut signal, CloseReason::Reset);
                Ok(())
            }
            Self::Unix(_) | Self::Pipe(_) => Ok(()),
        }
    }

    fn signal(signal: &mut Option<oneshot::Sender<CloseReason>>, reason: CloseReason) {
        if let Some(signal) = signal.take() {
            // Nobody listens any more where our own end came first.
            let _ = signal.send(reason);
        }
    }

    pub(crate) async fn receive(&mut self, bytes: usize) -> io::Result<()> {
        let mut taken = vec![0; bytes];
        tokio::time::timeout(Duration::from_secs(30), self.read_exact(&mut taken)).await??;
        Ok(())
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory(stream, _) => Pin::new(stream).poll_read(cx, buf),
            Self::Pipe(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(stream, _) => Pin::new(stream).poll_write(cx, buf),
            Self::Pipe(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Self::Pipe(_) => Poll::Ready(Ok(())),
        }
    }
}
