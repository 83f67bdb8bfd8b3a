//! Messages that the peer's TCP confirms below a layer that sends more bytes than it is given.

use hangup::outbox::{ConfirmedBy, Connection, Outbox};
use hangup::test_util::scripted;
use std::future::ready;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_util::codec::LinesCodec;

/// A layer that sends nothing before it is flushed, and then 100 bytes of its own first, as TLS sends its records.
struct Padded<S> {
    inner: S,
    held: Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Padded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Padded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            self.held.extend([0; 100]);
        }
        self.held.extend(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.held.is_empty() {
            let written = std::task::ready!(Pin::new(&mut this.inner).poll_write(cx, &this.held))?;
            this.held.drain(..written);
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The bytes that the peer acknowledges are those of the layer. Counted as those of the messages, they would confirm a
/// message that is still on its way.
#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_layer_do_not_confirm_a_message() {
    let (near, mut far) = tokio::io::duplex(1024);
    let (stream, remote) = scripted(near);
    remote.acknowledge(0);
    let mut stream = Some(stream);
    let connect = move || {
        let stream = stream.take().expect("one connection");
        let monitor = stream.monitor();
        let held = Vec::new();
        ready(Ok(Connection::over(
            Padded {
                inner: stream,
                held,
            },
            monitor,
        )))
    };
    let outbox = Outbox::builder(connect, LinesCodec::new).spawn().unwrap();
    let mut receipt = outbox.send("1 a").await.unwrap();
    far.read_exact(&mut [0; 104]).await.unwrap();
    for acknowledged in [50, 103] {
        remote.acknowledge(acknowledged);
        let early = timeout(Duration::from_secs(10), &mut receipt).await;
        assert!(early.is_err(), "{early:?} with {acknowledged} bytes");
    }
    remote.acknowledge(104);
    assert_eq!(receipt.await.unwrap().confirmed_by(), ConfirmedBy::Tcp);
}
