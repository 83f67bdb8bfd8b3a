//! One request and its response.

use super::body_error::{BodyError, body_error};
use super::gone::Gone;
use super::gone_reason::GoneReason;
use super::request::Request;
use crate::monitor::Monitor;
use crate::state::Closed;
use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_util::sync::CancellationToken;

/// One request and its response: the handle that tells when nobody waits for it any more.
///
/// The connection tells of itself, by its [`Monitor`]. Of the request tells the [`ExchangeGuard`], which is
/// to live as long as the HTTP library is interested: first in the future that handles the request,
/// then in the response's body. With axum [`follow`](crate::axum::follow) does that for all handlers.
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
    /// Begins to follow a request that came by the connection of `monitor`.
    pub fn new(monitor: &Monitor) -> (Self, ExchangeGuard) {
        let shared = Request::new(monitor);
        let guard = ExchangeGuard {
            shared: shared.clone(),
        };
        (Self { shared }, guard)
    }

    /// Resolves when nobody waits for the response any more, with the reason.
    pub fn gone(&self) -> Gone {
        Gone::new(self.shared.clone())
    }

    /// Whether nobody waits for the response any more. No system call: for loops that compute.
    pub fn is_gone(&self) -> bool {
        self.gone_reason().is_some()
    }

    /// Why nobody waits for the response any more, if so.
    pub fn gone_reason(&self) -> Option<GoneReason> {
        self.shared.reason()
    }

    /// A token that is cancelled when nobody waits for the response any more.
    ///
    /// Each call gives a token of its own, as with [`Monitor::cancellation_token`].
    pub fn cancellation_token(&self) -> CancellationToken {
        let token = &self.shared.token;
        let token = token.get_or_init(|| self.shared.monitor.cancellation_token());
        // An end between the two lines above found no token to cancel.
        if self.is_gone() {
            token.cancel();
        }
        token.child_token()
    }

    /// The connection's monitor.
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

/// Lives as long as somebody waits for the response: its drop is [`GoneReason::Cancelled`].
///
/// Keep it in the future that handles the request, and hand it to the response with
/// [`body`](Self::body).
#[must_use = "to drop it is to cancel the exchange"]
pub struct ExchangeGuard {
    shared: Arc<Request>,
}

impl ExchangeGuard {
    /// Moves the guard into the response's body.
    pub fn body<B: Body>(self, body: B) -> ExchangeBody<B> {
        let followed = ExchangeBody {
            closed: self.shared.monitor.closed(),
            left: body.size_hint().exact(),
            guard: self,
            body,
            over: false,
        };
        followed.take_stock();
        followed
    }

    /// Says that the request is answered: for a response without a body, or one whose body HTTP does not
    /// want (to a HEAD request), and drops without having polled it.
    pub fn answered(self) {
        self.shared.end(GoneReason::Answered);
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        self.shared.end(GoneReason::Cancelled);
    }
}

impl fmt::Debug for ExchangeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeGuard")
            .field("reason", &self.shared.reason())
            .finish()
    }
}

pin_project! {
    /// A response's body that tells its [`Exchange`] when HTTP has taken all of it, or drops it.
    ///
    /// It ends when the connection is over too, with the error that [`UntilClosed`](super::UntilClosed) gives.
    #[derive(Debug)]
    #[must_use = "to drop it is to cancel the exchange"]
    pub struct ExchangeBody<B> {
        #[pin]
        body: B,
        closed: Closed,
        guard: ExchangeGuard,
        // How many bytes are still to come, if the body knows. HTTP does not ask for a frame behind them.
        left: Option<u64>,
        over: bool,
    }
}

impl<B: Body> ExchangeBody<B> {
    /// Tells of the end when there is nothing more to take.
    fn take_stock(&self) {
        if self.over || self.left == Some(0) || self.body.is_end_stream() {
            self.guard.shared.end(GoneReason::Answered);
        }
    }
}

impl<B> Body for ExchangeBody<B>
where
    B: Body,
    B::Error: Into<BodyError>,
{
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        let this = self.as_mut().project();
        if *this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = Pin::new(this.closed).poll(cx) {
            *this.over = true;
            return Poll::Ready(Some(Err(body_error(reason))));
        }
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining) as u64;
                *this.left = this.left.map(|left| left.saturating_sub(bytes));
            }
            Some(Err(_)) => {}
            None => *this.over = true,
        }
        if !matches!(frame, Some(Err(_))) {
            self.take_stock();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
