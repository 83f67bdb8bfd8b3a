//! The receiving end of a producer with a stall policy.

use super::body_error::{BodyError, body_error};
use super::gone_reason::GoneReason;
use super::judged::Judged;
use super::producer::Producer;
use super::request::Request;
use crate::errors::CloseReason;
use crate::monitor::Monitor;
use crate::policy::StallPolicy;
use crate::state::Closed;
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{Semaphore, mpsc};

/// Like [`producer`](super::producer()), with a stall policy: the client must take the items at the rate of `policy`.
///
/// Each item counts as one byte of the policy: `StallPolicy::new(1, Duration::from_secs(30))` is one item in 30 s. The
/// clock runs until HTTP asks for the first item, and from each item that HTTP takes until it asks for the next one. It
/// stands still while HTTP waits for the producer.
///
/// When the client takes too few items, the items that wait are dropped, and the [`Producer`] gets
/// [`GoneReason::Stalled`]. [`StallStream`] ends with an error, so that a client that reads on later does not mistake
/// the response for a complete one.
///
/// # Errors
///
/// * [`NotConnected`](io::ErrorKind::NotConnected): it was not called in a runtime;
/// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without a timer.
///
/// # Panics
///
/// If `room` is zero.
///
/// ```
/// use hangup::http::{GoneReason, producer_with_policy};
/// use hangup::{MonitoredStream, StallPolicy};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let policy = StallPolicy::new(1, Duration::from_secs(30));
/// let (mut producer, _items) = producer_with_policy(&stream.monitor(), 1, policy)?;
/// producer.send("token").await.unwrap();
/// // The client of this HTTP/2 stream never opens its window, so HTTP asks for nothing.
/// let error = producer.send("the next one").await.unwrap_err();
/// assert_eq!(error.reason(), &GoneReason::Stalled);
/// # Ok(())
/// # }
/// ```
pub fn producer_with_policy<T: Send + 'static>(
    monitor: &Monitor,
    room: usize,
    policy: StallPolicy,
) -> io::Result<(Producer<T>, StallStream<T>)> {
    let (sender, receiver) = mpsc::channel(room.min(Semaphore::MAX_PERMITS));
    let shared = Request::new(monitor);
    let request = shared.clone();
    let items = StallStream {
        queue: Judged::new(receiver, policy, move || request.end(GoneReason::Stalled))?,
        handed: 0,
        over: false,
        closed: monitor.closed(),
        shared: shared.clone(),
    };
    Ok((Producer::new(sender, shared), items))
}

/// The receiving end of [`producer_with_policy`]: a [`Stream`] of the items, or of one error at its end.
///
/// It ends when the [`Producer`] is dropped and all of its items are taken. When the client has stalled or the
/// connection closes, it ends with an error that carries the [`CloseReason`].
///
/// ```
/// use futures::StreamExt;
/// use hangup::http::producer_with_policy;
/// use hangup::{CloseReason, MonitoredStream, StallPolicy};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let policy = StallPolicy::new(1, Duration::from_secs(30));
/// let (mut producer, mut items) = producer_with_policy(&stream.monitor(), 1, policy)?;
/// producer.send("row").await.unwrap();
/// assert_eq!(items.next().await.unwrap().unwrap(), "row");
///
/// tokio::time::sleep(Duration::from_secs(60)).await; // the client does not read
/// let error = items.next().await.unwrap().unwrap_err();
/// assert_eq!(CloseReason::find(&*error), Some(CloseReason::Stalled));
/// assert!(items.next().await.is_none());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it tells the producer that nobody receives"]
pub struct StallStream<T> {
    queue: Judged<mpsc::Receiver<T>>,
    /// How many items HTTP has received since it asked last.
    handed: usize,
    over: bool,
    closed: Closed,
    shared: Arc<Request>,
}

impl<T> Stream for StallStream<T> {
    type Item = Result<T, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        this.queue.asked(mem::take(&mut this.handed));
        if let Poll::Ready(reason) = Pin::new(&mut this.closed).poll(cx) {
            this.over = true;
            return Poll::Ready(Some(Err(body_error(reason))));
        }
        let polled = match &mut *this.queue.content() {
            Some(items) => items.poll_recv(cx),
            None => {
                this.over = true;
                return Poll::Ready(Some(Err(body_error(CloseReason::Stalled))));
            }
        };
        match polled {
            Poll::Ready(Some(item)) => {
                this.handed = 1;
                this.queue.handed();
                Poll::Ready(Some(Ok(item)))
            }
            Poll::Ready(None) => {
                this.over = true;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for StallStream<T> {
    fn drop(&mut self) {
        // The reason is stored before the queue is dropped, so that a waiting send finds it.
        self.shared.end(GoneReason::Cancelled);
    }
}

impl<T> fmt::Debug for StallStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallStream")
            .field("over", &self.over)
            .field("closed", &self.closed)
            .finish()
    }
}
