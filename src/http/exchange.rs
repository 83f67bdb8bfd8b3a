//! One request and its response.

use super::exchange_guard::ExchangeGuard;
use super::gone::Gone;
use super::gone_reason::GoneReason;
use super::request::Request;
use crate::monitor::Monitor;
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A handle on one request and its response. It reports when nobody waits for the response any more.
///
/// The [`Monitor`] reports the end of the connection. The [`ExchangeGuard`] reports the end of the request: keep it as
/// long as the HTTP library needs the request, first in the future that handles it, then in the body of the response.
/// With axum, [`follow`](crate::axum::follow) does this for every handler.
///
/// # How an exchange ends
///
/// | event | [`GoneReason`] |
/// |---|---|
/// | HTTP takes the last byte of the body, or the handler calls [`answered`](ExchangeGuard::answered) | [`Answered`](GoneReason::Answered) |
/// | the client resets the HTTP/2 stream, so HTTP drops the handler or the body | [`Cancelled`](GoneReason::Cancelled) |
/// | a timeout of the server drops the handler | [`Cancelled`](GoneReason::Cancelled) |
/// | the handler panics, so that the guard is dropped | [`Cancelled`](GoneReason::Cancelled) |
/// | the client takes the body too slowly, with [`body_with_policy`](ExchangeGuard::body_with_policy) | [`Stalled`](GoneReason::Stalled) |
/// | the connection closes, for any reason | [`Connection`](GoneReason::Connection) |
///
/// The first event decides. In HTTP/1.1 a client can cancel only by closing the connection.
///
/// ```
/// use hangup::http::{Exchange, GoneReason};
/// use hangup::{CloseReason, MonitoredStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
///
/// let (exchange, guard) = Exchange::new(&stream.monitor());
/// drop(guard); // as hyper does when the client resets the HTTP/2 stream
/// assert_eq!(exchange.gone().await, GoneReason::Cancelled);
/// assert!(!stream.is_closed());
///
/// let (exchange, _guard) = Exchange::new(&stream.monitor());
/// drop(stream);
/// assert_eq!(exchange.gone().await, GoneReason::Connection(CloseReason::Dropped));
/// # }
/// ```
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Request>,
}

impl Exchange {
    /// Starts to follow a request that arrived on the connection of `monitor`.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// assert!(!exchange.is_gone());
    /// guard.answered();
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    /// # }
    /// ```
    pub fn new(monitor: &Monitor) -> (Self, ExchangeGuard) {
        let shared = Request::new(monitor);
        let guard = ExchangeGuard::new(shared.clone());
        (Self { shared }, guard)
    }

    /// Resolves with the reason when nobody waits for the response any more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the future may be dropped and created again.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let work = std::future::pending::<()>(); // a query that takes long
    /// drop(guard); // the client cancels
    /// tokio::select! {
    ///     reason = exchange.gone() => assert_eq!(reason, GoneReason::Cancelled),
    ///     () = work => unreachable!(),
    /// }
    /// # }
    /// ```
    pub fn gone(&self) -> Gone {
        Gone::new(self.shared.clone())
    }

    /// Whether nobody waits for the response any more. It makes no system call, so a loop that computes can call it
    /// often.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::Exchange;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let mut computed = 0;
    /// let mut guard = Some(guard);
    /// while !exchange.is_gone() {
    ///     computed += 1;
    ///     # if computed == 3 {
    ///     guard.take(); // the client cancels
    ///     # }
    /// }
    /// assert_eq!(computed, 3);
    /// # }
    /// ```
    pub fn is_gone(&self) -> bool {
        self.gone_reason().is_some()
    }

    /// Why nobody waits for the response any more; `None` while somebody does.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// assert_eq!(exchange.gone_reason(), None);
    /// drop(guard);
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Cancelled));
    /// # }
    /// ```
    pub fn gone_reason(&self) -> Option<GoneReason> {
        self.shared.reason()
    }

    /// A token that is cancelled when nobody waits for the response any more.
    ///
    /// Each call returns a child token, so cancelling it affects no other task, as with
    /// [`Monitor::cancellation_token`].
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::Exchange;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let token = exchange.cancellation_token();
    /// assert!(!token.is_cancelled());
    /// drop(guard);
    /// token.cancelled().await;
    /// # }
    /// ```
    pub fn cancellation_token(&self) -> CancellationToken {
        let token = &self.shared.token;
        let token = token.get_or_init(|| self.shared.monitor.cancellation_token());
        // If the exchange ended before the token was stored, nothing has cancelled the token.
        if self.is_gone() {
            token.cancel();
        }
        token.child_token()
    }

    /// The monitor of the connection.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::Exchange;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// drop(guard);
    /// // One request is over, and the connection is not.
    /// assert!(exchange.is_gone());
    /// assert!(!exchange.monitor().is_closed());
    /// # }
    /// ```
    pub fn monitor(&self) -> &Monitor {
        &self.shared.monitor
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("reason", &self.gone_reason())
            .field("monitor", &self.shared.monitor)
            .finish()
    }
}
