//! The receiving end of a producer's queue.

use super::gone_reason::GoneReason;
use super::request::Request;
use crate::state::Closed;
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The receiving end of a [`producer`](super::producer()) queue: a [`Stream`] of the items.
///
/// It ends when the [`Producer`](super::Producer) is dropped and all of its items are taken, or when the connection closes. Items that
/// wait at the close are not returned.
///
/// ```
/// use futures::StreamExt;
/// use hangup::MonitoredStream;
/// use hangup::http::producer;
/// use http_body::Frame;
/// use http_body_util::{BodyExt, StreamBody};
/// use std::convert::Infallible;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (mut producer, items) = producer(&stream.monitor(), 2);
/// tokio::spawn(async move {
///     for row in ["one\n", "two\n", "three\n"] {
///         if producer.send(row).await.is_err() {
///             return;
///         }
///     }
/// });
/// // A body for hyper, axum or tonic.
/// let body = StreamBody::new(items.map(|row| Ok::<_, Infallible>(Frame::data(row.as_bytes()))));
/// assert_eq!(BodyExt::collect(body).await.unwrap().to_bytes(), "one\ntwo\nthree\n");
/// # }
/// ```
#[must_use = "dropping it tells the producer that nobody receives"]
pub struct ProducerStream<T> {
    receiver: mpsc::Receiver<T>,
    closed: Closed,
    shared: Arc<Request>,
}

impl<T> ProducerStream<T> {
    pub(super) fn new(receiver: mpsc::Receiver<T>, closed: Closed, shared: Arc<Request>) -> Self {
        Self {
            receiver,
            closed,
            shared,
        }
    }
}

impl<T> Stream for ProducerStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if Pin::new(&mut self.closed).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(cx)
    }
}

impl<T> Drop for ProducerStream<T> {
    fn drop(&mut self) {
        // The reason is stored before the receiver is dropped, so that a waiting send finds it.
        self.shared.end(GoneReason::Cancelled);
    }
}

impl<T> fmt::Debug for ProducerStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerStream")
            .field("waiting", &self.receiver.len())
            .field("closed", &self.closed)
            .finish()
    }
}
