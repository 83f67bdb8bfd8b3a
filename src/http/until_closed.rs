//! Bodies and streams that end when the connection is over.

use super::BodyError;
use crate::errors::CloseReason;
use crate::monitor::Monitor;
use crate::state::Closed;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A [`Body`] or a [`Stream`] that ends when a connection is over: what
    /// [`until_closed`](UntilClosedExt::until_closed) returns.
    ///
    /// It looks at the connection before it asks for the next item, and wakes its task when the connection
    /// is over: a body that waits for its next item hears of it, and nothing more is made for nobody. While
    /// HTTP is blocked in a write it asks for nothing; then it is the write that the close wakes and fails,
    /// and HTTP drops the body.
    ///
    /// * As a body it fails with an [`io::Error`] that carries the [`CloseReason`], so that a cut response
    ///   is not taken for a whole one.
    /// * As a stream, which has no error of its own to give, it just ends.
    #[derive(Debug)]
    #[must_use = "a body or a stream does nothing unless it is polled"]
    pub struct UntilClosed<T> {
        #[pin]
        inner: T,
        closed: Closed,
        // What comes after the end is the end again.
        over: bool,
    }
}

impl<T> UntilClosed<T> {
    /// `inner`, until the connection of `monitor` is over.
    pub fn new(inner: T, monitor: &Monitor) -> Self {
        Self {
            inner,
            closed: monitor.closed(),
            over: false,
        }
    }

    /// What is wrapped.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What is wrapped.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Takes out what is wrapped.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<B> Body for UntilClosed<B>
where
    B: Body,
    B::Error: Into<BodyError>,
{
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        let this = self.project();
        if *this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = Pin::new(this.closed).poll(cx) {
            *this.over = true;
            return Poll::Ready(Some(Err(refusal(reason))));
        }
        let frame = ready!(this.inner.poll_frame(cx));
        *this.over = frame.is_none();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<S: Stream> Stream for UntilClosed<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.over {
            return Poll::Ready(None);
        }
        if Pin::new(this.closed).poll(cx).is_ready() {
            *this.over = true;
            return Poll::Ready(None);
        }
        let item = ready!(this.inner.poll_next(cx));
        *this.over = item.is_none();
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.over {
            true => (0, Some(0)),
            // It may end at any time.
            false => (0, self.inner.size_hint().1),
        }
    }
}

/// The error of a body whose connection is over.
pub(super) fn refusal(reason: CloseReason) -> BodyError {
    io::Error::from(reason).into()
}

/// `until_closed` for bodies and streams.
///
/// ```
/// use hangup::http::UntilClosedExt;
/// use hangup::{CloseReason, MonitoredStream};
/// use http_body_util::{BodyExt, Full};
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let body = Full::new(&b"for somebody"[..]).until_closed(&stream.monitor());
/// drop(stream);
/// let error = body.collect().await.unwrap_err().downcast::<io::Error>().unwrap();
/// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Dropped));
/// # }
/// ```
pub trait UntilClosedExt: Sized {
    /// Ends this body or stream when the connection of `monitor` is over. See [`UntilClosed`].
    fn until_closed(self, monitor: &Monitor) -> UntilClosed<Self> {
        UntilClosed::new(self, monitor)
    }
}

impl<T> UntilClosedExt for T {}
