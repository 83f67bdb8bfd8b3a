//! One request and its response.

use super::body_error::{BodyError, body_error};
use super::gone::Gone;
use super::gone_reason::GoneReason;
use super::request::Request;
use super::stall_body::StallBody;
use crate::monitor::Monitor;
use crate::policy::StallPolicy;
use crate::state::Closed;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
        let guard = ExchangeGuard {
            shared: shared.clone(),
            is_upgraded: false,
        };
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

/// Represents the interest in a response: it must live as long as somebody waits for it. Dropping it means
/// [`GoneReason::Cancelled`].
///
/// Keep it in the future that handles the request, and move it into the response with [`body`](Self::body).
#[must_use = "dropping it cancels the exchange"]
pub struct ExchangeGuard {
    shared: Arc<Request>,
    is_upgraded: bool,
}

impl ExchangeGuard {
    /// Moves the guard into the body of the response.
    ///
    /// The exchange is [answered](GoneReason::Answered) when HTTP has taken the whole body, and
    /// [cancelled](GoneReason::Cancelled) when HTTP drops it before.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    /// use http_body_util::{BodyExt, Full};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let body = guard.body(Full::new(&b"answer"[..]));
    /// assert_eq!(body.collect().await.unwrap().to_bytes(), "answer");
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    /// # }
    /// ```
    pub fn body<B: Body>(self, body: B) -> ExchangeBody<B> {
        let followed = ExchangeBody {
            closed: self.shared.monitor.closed(),
            left: body.size_hint().exact(),
            guard: self,
            body,
            over: false,
        };
        followed.mark_if_answered();
        followed
    }

    /// As [`body`](Self::body), and gives the response up when the client takes less than `policy` requires.
    ///
    /// The exchange then ends with [`GoneReason::Stalled`], and what `body` holds is freed: see [`StallBody`].
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](io::ErrorKind::NotConnected): it was not called in a runtime;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// An error cancels the exchange.
    ///
    /// ```
    /// use hangup::http::{Exchange, GoneReason};
    /// use hangup::{MonitoredStream, StallPolicy};
    /// use http_body_util::Full;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let policy = StallPolicy::new(1024, Duration::from_secs(30));
    /// let _body = guard.body_with_policy(Full::from("for nobody"), policy)?;
    /// // The client of this HTTP/2 stream never opens its window, so HTTP asks for nothing.
    /// assert_eq!(exchange.gone().await, GoneReason::Stalled);
    /// # Ok(())
    /// # }
    /// ```
    pub fn body_with_policy<B>(
        self,
        body: B,
        policy: StallPolicy,
    ) -> io::Result<ExchangeBody<StallBody<B>>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let shared = self.shared.clone();
        let stalled = move || shared.end(GoneReason::Stalled);
        Ok(self.body(StallBody::with_hook(body, policy, stalled)?))
    }

    /// Marks the request as answered, for a response without a body, or with one that HTTP drops without polling it (a
    /// response to HEAD).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// guard.answered();
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    /// # }
    /// ```
    pub fn answered(self) {
        self.shared.end(GoneReason::Answered);
    }

    /// Makes the exchange last as long as the connection, for a response that switches protocols: a WebSocket's 101, or
    /// a success in answer to CONNECT.
    ///
    /// The exchange then ends only with [`GoneReason::Connection`]. If the new protocol runs in one stream of an HTTP/2
    /// connection (RFC 8441), the end of that stream alone is not detected.
    ///
    /// ```
    /// use hangup::http::{Exchange, GoneReason};
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// guard.upgraded();
    /// assert!(!exchange.is_gone());
    /// drop(stream); // the task that serves the WebSocket ends
    /// assert_eq!(exchange.gone().await, GoneReason::Connection(CloseReason::Dropped));
    /// # }
    /// ```
    pub fn upgraded(mut self) {
        self.is_upgraded = true;
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        if !self.is_upgraded {
            self.shared.end(GoneReason::Cancelled);
        }
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
    /// A response body that reports to its [`Exchange`] when HTTP has taken all of it, or drops it.
    ///
    /// It also ends when the connection closes, with the same error as [`UntilClosed`](crate::UntilClosed). An error of
    /// the wrapped body is passed on; the exchange is then cancelled when HTTP drops the body.
    #[derive(Debug)]
    #[must_use = "dropping it cancels the exchange"]
    pub struct ExchangeBody<B> {
        #[pin]
        body: B,
        closed: Closed,
        guard: ExchangeGuard,
        // The remaining bytes, if the body knows them. HTTP asks for no frame after the last one.
        left: Option<u64>,
        over: bool,
    }
}

impl<B: Body> ExchangeBody<B> {
    /// Marks the exchange as answered when there is nothing more to take.
    fn mark_if_answered(&self) {
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
            self.mark_if_answered();
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
