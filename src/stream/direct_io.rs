//! Reads and writes that do not wait, and readiness, with the same names as on tokio's sockets.

use super::monitored_stream::MonitoredStream;
use super::poll::Input;
use super::socket::DirectIo;
use crate::policy::NOBODY;
use crate::state::SharedState;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{Interest, ReadBuf, Ready};

/// Turns "pending" into "would block".
fn at_once<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

/// The direct calls take `&mut self`, unlike those of tokio: a stream has one reader and one writer at a time. The
/// halves of [`into_split`](Self::into_split) have them too.
impl<S: DirectIo> MonitoredStream<S> {
    /// Reads data that has arrived, without waiting. The bytes are counted.
    ///
    /// `Ok(0)` means EOF, or that `buf` is empty. Call it after [`readable`](Self::readable). Readiness may be spurious, so
    /// wait again after "would block".
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](ErrorKind::WouldBlock) if no data has arrived, and the errors of a read. Data that arrived before
    /// the disconnect is returned first.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, mut peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// peer.write_all(b"hello").await?;
    /// let mut buffer = [0; 64];
    /// let read = loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buffer) {
    ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
    ///         read => break read?,
    ///     }
    /// };
    /// assert_eq!(&buffer[..read], b"hello");
    /// assert_eq!(stream.monitor().transfer().read, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let read = |io: Pin<&mut S>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>| match io
            .try_read(buf.initialize_unfilled())
        {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            read => Poll::Ready(read.map(|bytes| buf.advance(bytes))),
        };
        let parked = self.ahead.as_ref().and_then(|ahead| ahead.reader());
        let this = Pin::new(&mut *self);
        let polled = this.poll_read_by(&mut nobody(), &mut buf, Input::Taken, read);
        // This call does not wait, and the socket still has the waker of one that does.
        if let Some(ahead) = &mut self.ahead {
            ahead.park(parked.as_ref());
        }
        at_once(polled).map(|()| buf.filled().len())
    }

    /// Writes as many bytes as the kernel accepts now, without waiting. The bytes are counted.
    ///
    /// # Errors
    ///
    /// * [`WouldBlock`](ErrorKind::WouldBlock) if the send buffer is full;
    /// * after the close, an error that carries the [`CloseReason`](crate::CloseReason), as from any write;
    /// * those of the socket.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// stream.writable().await?;
    /// assert_eq!(stream.try_write(b"hello")?, 5);
    /// assert_eq!(stream.monitor().accepted(), 5);
    ///
    /// drop(peer);
    /// stream.closed().await;
    /// let error = stream.try_write(b"for nobody").unwrap_err();
    /// assert!(CloseReason::carried_by(&error).is_some());
    /// assert_eq!(stream.monitor().accepted(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_with(|io| io.try_write(buf))
    }

    /// As [`try_write`](Self::try_write), from several buffers (writev(2)).
    ///
    /// # Errors
    ///
    /// Those of [`try_write`](Self::try_write).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::io::IoSlice;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// stream.writable().await?;
    /// let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    /// assert_eq!(stream.try_write_vectored(&bufs)?, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_with(|io| io.try_write_vectored(bufs))
    }

    fn try_write_with(&mut self, write: impl FnOnce(&S) -> io::Result<usize>) -> io::Result<usize> {
        at_once(
            Pin::new(self).poll_write_by(&mut nobody(), |io, _| match write(&io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
                written => Poll::Ready(written),
            }),
        )
    }

    /// Waits until a read would return something: data, EOF, or an error.
    ///
    /// # Errors
    ///
    /// Those of the runtime, which may be shutting down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it reads nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// drop(peer);
    /// stream.readable().await?;
    /// assert_eq!(stream.try_read(&mut [0; 8])?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await?;
        Ok(())
    }

    /// Waits until there is room for a write, or until a write would be refused because the stream has closed.
    ///
    /// Only one task may wait at a time: the close wakes the task that called last. On a Unix socket a stall policy
    /// judges only writes that wait themselves (`write`, `write_all`), and not a task that waits here. Nor does such a task
    /// [read ahead](crate::MonitorConfig::read_ahead).
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it writes nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// stream.writable().await?;
    /// while stream.try_write(&[0; 65536]).is_ok() {}
    ///
    /// drop(peer);
    /// stream.writable().await?; // and the write says why it is refused
    /// assert!(stream.try_write(b"!").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await?;
        Ok(())
    }

    /// Waits for any of `interest`, as [`TcpStream::ready`](tokio::net::TcpStream::ready) does.
    ///
    /// It also returns when a call would fail with a [`CloseReason`](crate::CloseReason) that the kernel does not
    /// report. The result then contains `READ_CLOSED` or `WRITE_CLOSED`. Such a close wakes one task for each direction: the
    /// last one that has waited.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it reads and writes nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::Interest;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let stream = MonitoredStream::new(ours)?;
    /// let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.is_writable() && !ready.is_readable());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let mut ready = pin!(self.io.ready(interest));
        poll_fn(|cx| {
            if interest.is_readable() && self.ahead.as_ref().is_some_and(|ahead| ahead.has_input())
            {
                return Poll::Ready(Ok(Ready::READABLE));
            }
            let refused = match interest.is_writable() && self.link.refusal().is_some() {
                true => Ready::WRITE_CLOSED,
                false => Ready::EMPTY,
            };
            // There may be input to read before a write is refused.
            match ready.as_mut().poll(cx) {
                Poll::Ready(Ok(ready)) => return Poll::Ready(Ok(ready | refused)),
                _ if !refused.is_empty() => return Poll::Ready(Ok(refused)),
                Poll::Ready(error) => return Poll::Ready(error),
                Poll::Pending => {}
            }
            if interest.is_readable() && self.waits_to_read(cx).is_ready() {
                return Poll::Ready(Ok(Ready::READ_CLOSED));
            }
            if interest.is_writable() && self.link.waits_to_write(cx).is_ready() {
                return Poll::Ready(Ok(Ready::WRITE_CLOSED));
            }
            Poll::Pending
        })
        .await
    }

    /// As [`readable`](Self::readable), for the one task that reads.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.as_ref().is_some_and(|ahead| ahead.has_input()) {
            return Poll::Ready(Ok(()));
        }
        // It waits in the same place as a read, and as a write that reads ahead.
        let both = { self.ahead.as_ref() }.and_then(|ahead| ahead.both(cx.waker()));
        let ready = match &both {
            Some(both) => self.io.poll_read_ready(&mut Context::from_waker(both)),
            None => self.io.poll_read_ready(cx),
        };
        if ready.is_ready() {
            return ready;
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.park(Some(cx.waker()));
        }
        // The next read returns the refusal.
        self.waits_to_read(cx).map(|_| Ok(()))
    }

    /// As [`writable`](Self::writable), for the one task that writes.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.refusal().is_some() {
            return Poll::Ready(Ok(()));
        }
        match self.io.poll_write_ready(cx) {
            Poll::Pending => self.link.waits_to_write(cx).map(|_| Ok(())),
            ready => ready,
        }
    }

    fn waits_to_read(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let shared: &SharedState = &self.link.shared;
        shared.read_is_pending();
        self.link.reading(cx)
    }
}

fn nobody() -> Context<'static> {
    Context::from_waker(NOBODY)
}
