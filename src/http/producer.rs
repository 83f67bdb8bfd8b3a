//! A queue from a producing thread to a response. The thread learns when nobody receives any more.

use super::gone::Gone;
use super::gone_reason::GoneReason;
use super::producer_error::ProducerError;
use super::producer_stream::ProducerStream;
use super::request::Request;
use crate::monitor::Monitor;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, error::TrySendError};

/// A bounded queue from the producer of items to the response that carries them.
///
/// `room` items may wait in the queue. [`ProducerStream`] is a [`Stream`](futures_core::Stream): turn it into a response body or into
/// server-sent events. When it is dropped, or the connection of `monitor` closes, the [`Producer`] learns of it: every
/// send fails, even one that waits for room, and [`is_gone`](Producer::is_gone) returns `true` between two items. The
/// items that wait are dropped, and at most the one that is being produced is wasted after that.
///
/// # Which kind of producer
///
/// | the items come from | call |
/// |---|---|
/// | a thread that computes or blocks, such as a model or a database driver | [`blocking_send`](Producer::blocking_send) in [`spawn_blocking`](tokio::task::spawn_blocking) |
/// | a task | [`send`](Producer::send) |
/// | a computation that takes seconds for each item | the same, and [`is_gone`](Producer::is_gone) inside of the computation |
/// | a `Stream` that exists already | no producer: [`until_closed`](crate::UntilClosedExt::until_closed) |
/// | a client of HTTP/2 that may stop reading | [`producer_with_policy`](super::producer_with_policy) |
///
/// Choose a small `room`: items in the queue take memory, and are wasted if the client leaves. Start with 1.
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
/// let (produced, reason) = model.await.unwrap();
/// assert!(produced <= 2);
/// assert_eq!(reason, GoneReason::Cancelled);
/// # }
/// ```
pub fn producer<T>(monitor: &Monitor, room: usize) -> (Producer<T>, ProducerStream<T>) {
    let (sender, receiver) = mpsc::channel(room.min(Semaphore::MAX_PERMITS));
    let shared = Request::new(monitor);
    let items = ProducerStream::new(receiver, monitor.closed(), shared.clone());
    (Producer::new(sender, shared), items)
}

/// The sending end of a [`producer`] queue.
///
/// When it is dropped, the [`ProducerStream`] ends, and the response looks complete to the client. A panic of the
/// producing thread drops it too. To mark a response as incomplete, send an item that is an error: a body of
/// `Result` items fails with it.
///
/// A thread that reads rows and fails in the middle. The client sees a truncated body, and not a shorter list:
///
/// ```
/// use futures::StreamExt;
/// use hangup::MonitoredStream;
/// use hangup::http::{Producer, producer};
/// use std::io;
///
/// /// Sends the rows, and the error of the database if there is one.
/// async fn rows(mut out: Producer<io::Result<&'static str>>) {
///     for row in [Ok("alice"), Ok("bob"), Err(io::Error::other("the database is gone"))] {
///         if out.send(row).await.is_err() {
///             return; // the client has left
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (out, items) = producer(&stream.monitor(), 8);
/// tokio::spawn(rows(out));
/// let items: Vec<_> = items.collect().await;
/// assert_eq!(items.len(), 3);
/// assert!(items[2].is_err());
/// # }
/// ```
pub struct Producer<T> {
    sender: mpsc::Sender<T>,
    shared: Arc<Request>,
}

impl<T> Producer<T> {
    pub(super) fn new(sender: mpsc::Sender<T>, shared: Arc<Request>) -> Self {
        Self { sender, shared }
    }

    /// Sends an item, and waits until there is room for it.
    ///
    /// # Errors
    ///
    /// [`ProducerError`]: nobody receives any more. It returns the item and the reason.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the item is either sent or dropped.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::MonitoredStream;
    /// use hangup::http::{GoneReason, producer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (mut producer, mut items) = producer(&stream.monitor(), 1);
    /// producer.send("token").await.unwrap();
    /// assert_eq!(items.next().await, Some("token"));
    /// drop(items);
    /// let error = producer.send("for nobody").await.unwrap_err();
    /// assert_eq!(error.reason(), &GoneReason::Cancelled);
    /// assert_eq!(error.into_inner(), "for nobody");
    /// # }
    /// ```
    pub async fn send(&mut self, item: T) -> Result<(), ProducerError<T>> {
        let mut gone = self.gone();
        let permit = {
            let mut room = pin!(self.sender.reserve());
            poll_fn(|cx| match Pin::new(&mut gone).poll(cx) {
                Poll::Ready(reason) => Poll::Ready(Err(reason)),
                // `gone` resolves before the receiver is dropped, so this reason is the final one.
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
            Err(reason) => Err(ProducerError::new(item, reason)),
        }
    }

    /// Like [`send`](Self::send), but blocks the thread until there is room.
    ///
    /// It needs no runtime. Do not call it on a worker thread of a runtime, which it would block: use
    /// [`spawn_blocking`](tokio::task::spawn_blocking) or a separate thread.
    ///
    /// # Errors
    ///
    /// [`ProducerError`]: nobody receives any more. It returns the item and the reason.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use hangup::MonitoredStream;
    /// use hangup::http::producer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (mut producer, items) = producer(&stream.monitor(), 1);
    /// let thread = std::thread::spawn(move || {
    ///     let mut sent = 0;
    ///     while producer.blocking_send(sent).is_ok() {
    ///         sent += 1;
    ///     }
    ///     sent
    /// });
    /// assert_eq!(items.take(3).collect::<Vec<_>>().await, [0, 1, 2]);
    /// assert!(thread.join().unwrap() >= 3);
    /// # }
    /// ```
    pub fn blocking_send(&mut self, item: T) -> Result<(), ProducerError<T>> {
        if let Some(reason) = self.gone_reason() {
            return Err(ProducerError::new(item, reason));
        }
        match self.sender.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(item) | TrySendError::Closed(item)) => block_on(self.send(item)),
        }
    }

    /// Whether nobody receives any more. It makes no system call, so a loop that computes can call it often.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::producer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (producer, items) = producer::<u32>(&stream.monitor(), 1);
    /// assert!(!producer.is_gone());
    /// drop(items);
    /// assert!(producer.is_gone());
    /// # }
    /// ```
    pub fn is_gone(&self) -> bool {
        self.gone_reason().is_some()
    }

    /// Why nobody receives any more; `None` while somebody does. It is never [`GoneReason::Answered`].
    ///
    /// ```
    /// use hangup::http::{GoneReason, producer};
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (producer, _items) = producer::<u32>(&stream.monitor(), 1);
    /// drop(stream);
    /// let dropped = GoneReason::Connection(CloseReason::Dropped);
    /// assert_eq!(producer.gone_reason(), Some(dropped));
    /// # }
    /// ```
    pub fn gone_reason(&self) -> Option<GoneReason> {
        self.shared.reason()
    }

    /// Resolves with the reason when nobody receives any more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the future may be dropped and created again.
    ///
    /// A task that waits between two items waits for this too. Otherwise it learns of the end with its next item:
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{GoneReason, Producer, producer};
    /// use std::time::Duration;
    ///
    /// /// An item an hour, until nobody receives any more.
    /// async fn ticks(mut producer: Producer<u32>) -> GoneReason {
    ///     let mut tick = 0;
    ///     while producer.send(tick).await.is_ok() {
    ///         tick += 1;
    ///         tokio::select! {
    ///             () = tokio::time::sleep(Duration::from_secs(3600)) => {}
    ///             _ = producer.gone() => {}
    ///         }
    ///     }
    ///     producer.gone().await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (producer, items) = producer(&stream.monitor(), 1);
    /// let ticking = tokio::spawn(ticks(producer));
    /// drop(items);
    /// assert_eq!(ticking.await.unwrap(), GoneReason::Cancelled);
    /// # }
    /// ```
    pub fn gone(&self) -> Gone {
        Gone::new(self.shared.clone())
    }

    /// The monitor of the connection.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::producer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (producer, _items) = producer::<u32>(&stream.monitor(), 1);
    /// assert!(!producer.monitor().is_closed());
    /// # }
    /// ```
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
            // Returns at once if the wake-up came before.
            Poll::Pending => thread::park(),
        }
    }
}
