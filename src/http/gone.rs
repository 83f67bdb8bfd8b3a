//! The future that resolves when nobody waits for a response any more.

use super::gone_reason::GoneReason;
use super::request::Request;
use crate::state::Closed;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Future of [`Exchange::gone`](super::Exchange::gone) and [`Producer::gone`](super::Producer::gone).
///
/// It resolves to the [`GoneReason`], immediately if the request is over already, and again if it is polled
/// again. It borrows nothing, and may be moved to another task or thread.
///
/// # Cancel safety
///
/// Cancel safe: it may be dropped and created again at any time.
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::http::{Exchange, GoneReason};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let (exchange, guard) = Exchange::new(&stream.monitor());
/// let gone = exchange.gone();
/// let log = tokio::spawn(gone.clone()); // another task
/// guard.answered();
/// assert_eq!(log.await.unwrap(), GoneReason::Answered);
/// assert_eq!(gone.await, GoneReason::Answered);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Gone {
    shared: Arc<Request>,
    connection: Closed,
    request: Closed,
}

impl Gone {
    pub(super) fn new(shared: Arc<Request>) -> Self {
        Self {
            connection: shared.monitor.closed(),
            request: shared.request_closed(),
            shared,
        }
    }
}

impl Future for Gone {
    type Output = GoneReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<GoneReason> {
        let this = &mut *self;
        let over = Pin::new(&mut this.request).poll(cx).is_ready()
            | Pin::new(&mut this.connection).poll(cx).is_ready();
        match this.shared.reason() {
            Some(reason) if over => Poll::Ready(reason),
            _ => Poll::Pending,
        }
    }
}

impl Clone for Gone {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl fmt::Debug for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gone")
            .field("reason", &self.shared.reason())
            .finish()
    }
}
