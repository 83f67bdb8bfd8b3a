//! `Stream`s and `Sink`s that end with a monitored stream.

use super::handle::Monitor;
use crate::errors::CloseReason;
use crate::state::Closed;
use futures_core::Stream;
use futures_sink::Sink;
use pin_project_lite::pin_project;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Lets any `Stream` or `Sink` end with a [`MonitoredStream`](crate::MonitoredStream).
pub trait UntilClosedExt: Sized {
    /// Ends `self` when the stream that `monitor` tells of is over.
    ///
    /// For what is made for the peer: rows of a database, tokens, the blocks of a file; and for sinks
    /// that are not the stream itself, such as a channel to the task that writes.
    ///
    /// Not for frames that are received. `FramedRead` and `Framed` over the stream yield everything that
    /// had arrived before the hang-up and then end by themselves, and their sending half fails at once with
    /// an error that carries the reason: they need no help, see the second example.
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
        UntilClosed {
            inner: self,
            yielding: monitor.closed(),
            taking: monitor.closed(),
            reason: None,
        }
    }
}

impl<T> UntilClosedExt for T {}

pin_project! {
    /// A `Stream` or `Sink` that ends with a monitored stream:
    /// [`until_closed`](UntilClosedExt::until_closed).
    ///
    /// As a `Stream` it ends at once when the stream is over: nothing more is asked of what it wraps, ready
    /// or not, as there is nobody to send it to. [`close_reason`](Self::close_reason) tells whether it
    /// ended for that.
    ///
    /// As a `Sink` it refuses all, its close too, when the stream is over: a call that is pending is woken
    /// and fails with the reason, [`SinkError::Closed`]. What had been put into it may not have got through.
    ///
    /// The two halves may be polled by two tasks.
    ///
    /// # Cancel safety
    ///
    /// As what it wraps: it keeps nothing back.
    #[derive(Debug)]
    #[must_use = "streams and sinks do nothing unless polled"]
    pub struct UntilClosed<T> {
        #[pin]
        inner: T,
        // One for each half: a future wakes one task.
        yielding: Closed,
        taking: Closed,
        reason: Option<CloseReason>,
    }
}

impl<T> UntilClosed<T> {
    /// Why the `Stream` ended, if it has ended and that was because the monitored stream is over.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    /// What it wraps.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What it wraps.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// What it wraps, pinned.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().inner
    }

    /// Takes out what it wraps. Nothing is lost with it.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Stream> Stream for UntilClosed<T> {
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let this = self.project();
        if this.reason.is_none() {
            *this.reason = this.yielding.reason();
        }
        if this.reason.is_some() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(item) = this.inner.poll_next(cx) {
            return Poll::Ready(item);
        }
        // Registers the task, or finds that the stream has closed meanwhile.
        let reason = ready!(Pin::new(this.yielding).poll(cx));
        *this.reason = Some(reason);
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.reason {
            Some(_) => (0, Some(0)),
            None => (0, self.inner.size_hint().1),
        }
    }
}

impl<T> UntilClosed<T> {
    /// One call of the sink, or the refusal of it.
    fn poll_sink<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), SinkError<E>>> {
        let this = self.project();
        if let Some(reason) = this.taking.reason() {
            return Poll::Ready(Err(SinkError::Closed(reason)));
        }
        if let Poll::Ready(done) = call(this.inner, cx) {
            return Poll::Ready(done.map_err(SinkError::Sink));
        }
        let reason = ready!(Pin::new(this.taking).poll(cx));
        Poll::Ready(Err(SinkError::Closed(reason)))
    }
}

impl<T: Sink<Item>, Item> Sink<Item> for UntilClosed<T> {
    type Error = SinkError<T::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(cx, T::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        match this.taking.reason() {
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

/// Why an [`UntilClosed`] sink has failed.
///
/// ```
/// use hangup::{CloseReason, SinkError};
/// use std::io;
///
/// let error: SinkError<io::Error> = SinkError::Closed(CloseReason::Reset);
/// assert_eq!(error.to_string(), "reset by peer");
/// assert_eq!(CloseReason::from(&io::Error::from(error)), CloseReason::Reset);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SinkError<E> {
    /// The stream is over.
    Closed(CloseReason),
    /// The wrapped sink failed.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for SinkError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for SinkError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed(reason) => reason.source(),
            Self::Sink(error) => error.source(),
        }
    }
}

impl<E: Into<Self>> From<SinkError<E>> for io::Error {
    fn from(error: SinkError<E>) -> Self {
        match error {
            SinkError::Closed(reason) => reason.into(),
            SinkError::Sink(error) => error.into(),
        }
    }
}
