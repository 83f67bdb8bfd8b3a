//! A response body that reports the end of its request.

use super::body_error::{BodyError, body_error};
use super::exchange_guard::ExchangeGuard;
use super::gone_reason::GoneReason;
use super::stall_body::StallBody;
use crate::policy::StallPolicy;
use crate::state::Closed;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
}

pin_project! {
    /// A response body that reports to its [`Exchange`] when HTTP has taken all of it, or drops it.
    ///
    /// It also ends when the connection closes, with the same error as [`UntilClosed`](crate::UntilClosed). An error of
    /// the wrapped body is passed on; the exchange is then cancelled when HTTP drops the body.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    /// use http_body_util::{BodyExt, Full};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// let mut body = guard.body(Full::new(&b"answer"[..]));
    /// assert!(!exchange.is_gone());
    /// // HTTP asks for no frame after the last byte of a body of known length.
    /// assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), b"answer");
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    ///
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// drop(guard.body(Full::new(&b"answer"[..]))); // the client resets the HTTP/2 stream
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Cancelled));
    /// # }
    /// ```
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
