//! The future that resolves when nobody waits for a response any more.

use super::exchange::Shared;
use crate::errors::CloseReason;
use crate::state::Closed;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Why a request is over.
///
/// The first reason wins and never changes, as with [`CloseReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// The whole connection is over.
    Connection(CloseReason),
    /// This request alone was given up, and the connection is still open: an HTTP/2 stream was reset, or
    /// the server itself dropped the handler or its response, by a time-out for instance.
    Cancelled,
    /// The response was given to HTTP to its end.
    ///
    /// It may still be on its way: [`Monitor::drained`](crate::Monitor::drained) waits for that.
    Answered,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(reason) => reason.fmt(f),
            Self::Cancelled => f.write_str("request cancelled"),
            Self::Answered => f.write_str("request answered"),
        }
    }
}

/// Future of [`Exchange::gone`](super::Exchange::gone) and [`Producer::gone`](super::Producer::gone).
///
/// It resolves to the [`GoneReason`], at once if the request is over already, and again if it is polled
/// again. It borrows nothing, and may be moved to any task or thread.
///
/// # Cancel safety
///
/// It may be dropped and made anew at any time: nothing is lost.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Gone {
    shared: Arc<Shared>,
    connection: Closed,
    request: Closed,
}

impl Gone {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
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
