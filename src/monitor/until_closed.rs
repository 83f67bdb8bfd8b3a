//! Streams, sinks and bodies that end with a monitored stream.

use super::handle::Monitor;
#[cfg(feature = "codec")]
use super::sink_error::SinkError;
use crate::errors::CloseReason;
use crate::state::Closed;
use futures_core::Stream;
#[cfg(feature = "codec")]
use futures_sink::Sink;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Ends a stream, a sink or a body together with a [`MonitoredStream`](crate::MonitoredStream).
///
/// A body needs the feature `http`, a sink the feature `codec`, a stream either of them.
///
/// The trait is implemented for every type. A wrapped value that is none of the three compiles, and has no methods but the
/// accessors of [`UntilClosed`].
///
/// A sink, feature `codec`. The channel leads to a task that writes to the client:
///
/// ```
/// # #[cfg(feature = "codec")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use futures::SinkExt;
/// use hangup::{CloseReason, MonitoredStream, SinkError, UntilClosedExt};
///
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (channel, _task) = futures::channel::mpsc::channel::<&str>(8);
/// let mut sink = channel.until_closed(&stream.monitor());
/// sink.send("progress 10 %").await.unwrap();
/// drop(stream);
/// let error = sink.send("progress 20 %").await.unwrap_err();
/// assert!(matches!(error, SinkError::Closed(CloseReason::Dropped)));
/// # }
/// # #[cfg(not(feature = "codec"))]
/// # fn main() {}
/// ```
pub trait UntilClosedExt: Sized {
    /// Ends `self` when the stream of `monitor` closes.
    ///
    /// Use it for data that is produced for the peer, such as database rows, tokens or blocks of a file, and
    /// for sinks other than the stream itself, such as a channel to the task that writes.
    ///
    /// Do not use it for received frames. `FramedRead` and `Framed` over the stream yield everything that arrived
    /// before the disconnect and then end by themselves. Their sending half fails at once with an error that carries
    /// the reason. The second example shows this.
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use hangup::{CloseReason, MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    ///
    /// // No row comes for a long time.
    /// let mut rows = stream::pending::<Vec<u8>>().until_closed(&stream.monitor());
    /// drop(client);
    /// assert_eq!(rows.next().await, None);
    /// assert_eq!(rows.close_reason(), Some(&CloseReason::PeerClosed));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Frames:
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    /// use tokio_util::codec::{Framed, LinesCodec};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// let monitor = stream.monitor();
    ///
    /// client.write_all(b"one\ntwo\n").await?;
    /// drop(client);
    /// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
    /// let lines: Vec<_> = Framed::new(stream, LinesCodec::new()).map(Result::unwrap).collect().await;
    /// assert_eq!(lines, ["one", "two"]);
    /// # Ok(())
    /// # }
    /// ```
    fn until_closed(self, monitor: &Monitor) -> UntilClosed<Self> {
        UntilClosed::new(self, monitor)
    }
}

impl<T> UntilClosedExt for T {}

pin_project! {
    /// A stream, a sink or a body that ends when a monitored stream closes: returned by
    /// [`until_closed`](UntilClosedExt::until_closed).
    ///
    /// | wrapped value | at the close | how to get the reason |
    /// |---|---|---|
    /// | [`Stream`] | ends with `None`, because it has no error of its own | [`close_reason`](Self::close_reason) is `Some`; after the end of the wrapped stream it is `None` |
    /// | `Sink`, feature `codec` | fails with `SinkError::Closed` | the error carries it |
    /// | `Body`, feature `http` | fails with an [`io::Error`](std::io::Error), so that a truncated response cannot pass for a complete one | the error carries it |
    ///
    /// The close wakes a pending call. After the close the wrapped value is not polled any more, not even to flush or
    /// to close it. It is dropped with this wrapper, or taken out by [`into_inner`](Self::into_inner).
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{CloseReason, MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let mut rows = futures::stream::iter(1..=3).until_closed(&stream.monitor());
    /// assert_eq!(rows.next().await, Some(1));
    /// drop(stream);
    /// assert_eq!(rows.next().await, None);
    /// assert_eq!(rows.close_reason(), Some(&CloseReason::Dropped)); // cut short, and not complete
    /// assert_eq!(rows.into_inner().collect::<Vec<_>>().await, [2, 3]);
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams, sinks and bodies do nothing unless polled"]
    pub struct UntilClosed<T> {
        #[pin]
        inner: T,
        // Two futures, because one future wakes one task, and both directions may be polled by different tasks.
        receiving: Closed,
        sending: Closed,
        reason: Option<CloseReason>,
        // The wrapped stream or body has ended by itself.
        ended: bool,
    }
}

impl<T> UntilClosed<T> {
    /// Ends `inner` when the stream of `monitor` closes.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{MonitoredStream, UntilClosed};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let mut rows = UntilClosed::new(futures::stream::iter([1, 2, 3]), &stream.monitor());
    /// assert_eq!(rows.next().await, Some(1));
    /// drop(stream);
    /// assert_eq!(rows.next().await, None);
    /// # }
    /// ```
    pub fn new(inner: T, monitor: &Monitor) -> Self {
        Self {
            inner,
            receiving: monitor.closed(),
            sending: monitor.closed(),
            reason: None,
            ended: false,
        }
    }

    /// Why the stream, the receiving side or the body was cut short; `None` while it runs, and after the end of the
    /// wrapped value.
    ///
    /// A failed sink has the reason in its error, and not here.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{CloseReason, MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let mut rows = futures::stream::pending::<u32>().until_closed(&stream.monitor());
    /// drop(stream);
    /// assert_eq!(rows.next().await, None);
    /// assert_eq!(rows.close_reason(), Some(&CloseReason::Dropped));
    /// # }
    /// ```
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    /// The wrapped value.
    ///
    /// ```
    /// use hangup::{MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let rows = futures::stream::iter([1, 2, 3]).until_closed(&stream.monitor());
    /// assert_eq!(futures::Stream::size_hint(rows.get_ref()), (3, Some(3)));
    /// # }
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The wrapped value. Items that are taken from it directly do not end with the monitored stream.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let mut rows = futures::stream::iter([1, 2, 3]).until_closed(&stream.monitor());
    /// assert_eq!(rows.get_mut().next().await, Some(1));
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The wrapped value, pinned. Like [`get_mut`](Self::get_mut).
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let rows = futures::stream::iter([1, 2, 3]).until_closed(&stream.monitor());
    /// let mut rows = std::pin::pin!(rows);
    /// assert_eq!(rows.as_mut().get_pin_mut().next().await, Some(1));
    /// # }
    /// ```
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().inner
    }

    /// Takes the wrapped value out.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::{MonitoredStream, UntilClosedExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let rows = futures::stream::iter([1, 2, 3]).until_closed(&stream.monitor());
    /// assert_eq!(rows.into_inner().collect::<Vec<_>>().await, [1, 2, 3]);
    /// # }
    /// ```
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Whether it has ended, by the close or by the end of the wrapped value.
    #[cfg(feature = "http")]
    pub(crate) fn is_over(&self) -> bool {
        self.ended || self.reason.is_some()
    }

    /// Marks the end of the wrapped value.
    #[cfg(feature = "http")]
    pub(crate) fn end(self: Pin<&mut Self>) {
        *self.project().ended = true;
    }

    /// Registers the task for the close, or returns its reason.
    pub(crate) fn poll_closed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.project();
        let reason = ready!(Pin::new(this.receiving).poll(cx));
        *this.reason = Some(reason.clone());
        Poll::Ready(reason)
    }
}

impl<S: Stream> Stream for UntilClosed<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.ended || self.reason.is_some() || self.as_mut().poll_closed(cx).is_ready() {
            return Poll::Ready(None);
        }
        let this = self.project();
        let item = ready!(this.inner.poll_next(cx));
        *this.ended = item.is_none();
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.ended || self.reason.is_some() {
            true => (0, Some(0)),
            // It may end at any time.
            false => (0, self.inner.size_hint().1),
        }
    }
}

#[cfg(feature = "codec")]
impl<T> UntilClosed<T> {
    fn poll_sink<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), SinkError<E>>> {
        let this = self.project();
        if let Some(reason) = this.sending.reason() {
            return Poll::Ready(Err(SinkError::Closed(reason)));
        }
        if let Poll::Ready(done) = call(this.inner, cx) {
            return Poll::Ready(done.map_err(SinkError::Sink));
        }
        let reason = ready!(Pin::new(this.sending).poll(cx));
        Poll::Ready(Err(SinkError::Closed(reason)))
    }
}

#[cfg(feature = "codec")]
impl<T: Sink<Item>, Item> Sink<Item> for UntilClosed<T> {
    type Error = SinkError<T::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(cx, T::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        match this.sending.reason() {
            Some(reason) => Err(SinkError::Closed(reason)),
            None => this.inner.start_send(item).map_err(SinkError::Sink),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(cx, T::poll_flush)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(cx, T::poll_close)
    }
}
