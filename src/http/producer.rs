//! From a thread that computes to a body, so that the thread hears of the end.

use super::gone::Gone;
use super::gone_reason::GoneReason;
use super::request::Request;
use crate::monitor::Monitor;
use crate::state::Closed;
use futures_core::Stream;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::sync::mpsc::{self, error::TrySendError};

/// A bounded queue from who makes items to the response that they are for.
///
/// `room` items may wait in it. [`ProducerStream`] is a [`Stream`], and becomes a response's body or its server-sent
/// events; when it is dropped, or the connection of `monitor` is over, the [`Producer`] hears of it: a send
/// fails, also one that waits for room, and [`is_gone`](Producer::is_gone) tells between two items. So
/// at most one item is made for nobody.
///
/// # Panics
///
/// If `room` is zero.
///
/// ```
/// use futures::StreamExt;
/// use hangup::MonitoredStream;
/// use hangup::http::{GoneReason, producer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (mut producer, mut items) = producer(&stream.monitor(), 1);
/// let model = tokio::task::spawn_blocking(move || {
///     for token in 0.. {
///         if let Err(error) = producer.blocking_send(token) {
///             return (token, error.reason().clone());
///         }
///     }
///     unreachable!()
/// });
/// assert_eq!(items.next().await, Some(0));
/// drop(items); // as HTTP does when the client resets the HTTP/2 stream
/// let (made, reason) = model.await.unwrap();
/// assert!(made <= 2);
/// assert_eq!(reason, GoneReason::Cancelled);
/// # }
/// ```
pub fn producer<T>(monitor: &Monitor, room: usize) -> (Producer<T>, ProducerStream<T>) {
    let (sender, receiver) = mpsc::channel(room);
    let shared = Request::new(monitor);
    let items = ProducerStream {
        closed: monitor.closed(),
        receiver,
        shared: shared.clone(),
    };
    (Producer { sender, shared }, items)
}

/// The end of a [`producer`] that makes the items.
///
/// When it is dropped the [`ProducerStream`] end, and the response looks whole: also after a panic of its thread.
pub struct Producer<T> {
    sender: mpsc::Sender<T>,
    shared: Arc<Request>,
}

impl<T> Producer<T> {
    /// Gives an item to the response, and waits until there is room for it.
    ///
    /// # Errors
    ///
    /// Nobody receives any more: the error has the item and the reason.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the item is dropped with it, or is sent, never half of both.
    pub async fn send(&mut self, item: T) -> Result<(), ProducerError<T>> {
        let mut gone = self.gone();
        let permit = {
            let mut room = pin!(self.sender.reserve());
            poll_fn(|cx| match Pin::new(&mut gone).poll(cx) {
                Poll::Ready(reason) => Poll::Ready(Err(reason)),
                // The receiver goes last: until then its end is told by `gone`.
                Poll::Pending => room
                    .as_mut()
                    .poll(cx)
                    .map(|room| room.map_err(|_| self.reason())),
            })
            .await
        };
        match permit {
            Ok(permit) => {
                permit.send(item);
                Ok(())
            }
            Err(reason) => Err(ProducerError { item, reason }),
        }
    }

    /// As [`send`](Self::send), for threads that block: it blocks until there is room.
    ///
    /// It needs no runtime, and must not be called on a thread that drives one (it would keep it from going
    /// on): use it within [`spawn_blocking`](tokio::task::spawn_blocking) or on a thread of your own.
    ///
    /// # Errors
    ///
    /// Nobody receives any more: the error has the item and the reason.
    pub fn blocking_send(&mut self, item: T) -> Result<(), ProducerError<T>> {
        if let Some(reason) = self.gone_reason() {
            return Err(ProducerError { item, reason });
        }
        match self.sender.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(item) | TrySendError::Closed(item)) => block_on(self.send(item)),
        }
    }

    /// Whether nobody receives any more. No system call: for loops that compute.
    pub fn is_gone(&self) -> bool {
        self.gone_reason().is_some()
    }

    /// Why nobody receives any more, if so. Never [`GoneReason::Answered`].
    pub fn gone_reason(&self) -> Option<GoneReason> {
        self.shared.reason()
    }

    /// Resolves when nobody receives any more, with the reason.
    pub fn gone(&self) -> Gone {
        Gone::new(self.shared.clone())
    }

    /// The connection's monitor.
    pub fn monitor(&self) -> &Monitor {
        &self.shared.monitor
    }

    fn reason(&self) -> GoneReason {
        self.gone_reason().unwrap_or(GoneReason::Cancelled)
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("room", &self.sender.capacity())
            .field("reason", &self.gone_reason())
            .finish()
    }
}

/// The end of a [`producer`] that the response takes the items from: a [`Stream`] of them.
///
/// It ends when the [`Producer`] is dropped and all of its items are taken, or when the connection is over.
#[must_use = "to drop it tells the producer that nobody receives"]
pub struct ProducerStream<T> {
    receiver: mpsc::Receiver<T>,
    closed: Closed,
    shared: Arc<Request>,
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
        // Before the receiver goes: whoever waits for room then finds the reason.
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

/// Nobody receives any more. Has the item that was not sent.
#[derive(Clone, PartialEq, Eq)]
pub struct ProducerError<T> {
    item: T,
    reason: GoneReason,
}

impl<T> ProducerError<T> {
    /// The item that was not sent.
    pub fn into_inner(self) -> T {
        self.item
    }

    /// Why nobody receives any more.
    pub fn reason(&self) -> &GoneReason {
        &self.reason
    }
}

impl<T> fmt::Debug for ProducerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for ProducerError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody receives any more: {}", self.reason)
    }
}

impl<T> Error for ProducerError<T> {}

/// Runs `future` on this thread, which sleeps while it is pending.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            // A wake-up that came before this makes it return at once.
            Poll::Pending => thread::park(),
        }
    }
}
