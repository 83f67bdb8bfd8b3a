//! A body with a stall policy of its own.

use super::body_error::{BodyError, body_error};
use super::judged::Judged;
use super::parts::Parts;
use crate::errors::CloseReason;
use crate::policy::StallPolicy;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A response body with a stall policy: it is dropped when its client takes it too slowly.
///
/// In HTTP/2 each stream has its own flow-control window (RFC 9113, section 5.2). A client that leaves the window closed
/// holds the response, and everything that its body owns, as long as it likes. The connection is still read and pings
/// are answered, so the [stall policy of the connection](crate::MonitorConfig::stall) does not apply. Here the policy
/// counts the bytes that HTTP takes from the body while it waits for the client. When the client takes too few, the
/// wrapped body is dropped. If HTTP polls the body again, it gets an error that carries [`CloseReason::Stalled`], and
/// resets the stream.
///
/// | time | counts |
/// |---|---|
/// | from the creation of this body until HTTP asks for the first frame | yes: create it when the response is ready |
/// | the wrapped body has no frame ready | no: the client waits for us |
/// | HTTP has a part and does not ask for the next one | yes |
///
/// Data is handed out in parts of at most 16 KiB. After a stall only that part, and what HTTP itself has buffered, is
/// still in memory. Each such body has one task, and a timer while it waits for the client.
///
/// [`hangup::serve`](crate::serve) has this bound for every stream:
/// [`Server::stall_policy`](crate::serve::Server::stall_policy).
///
/// ```
/// use hangup::StallPolicy;
/// use hangup::http::StallBody;
/// use http_body_util::{BodyExt, Full};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let policy = StallPolicy::new(64 * 1024, Duration::from_secs(30));
/// let body = StallBody::new(Full::from("answer"), policy)?;
/// assert_eq!(body.collect().await.unwrap().to_bytes(), "answer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StallBody<B> {
    content: Judged<Pin<Box<B>>>,
    parts: Parts,
    over: bool,
}

impl<B: Send + 'static> StallBody<B> {
    /// Bounds `body` by `policy`.
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](io::ErrorKind::NotConnected): it was not called in a runtime;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// ```
    /// use hangup::StallPolicy;
    /// use hangup::http::StallBody;
    /// use http_body_util::Empty;
    /// use std::time::Duration;
    ///
    /// let policy = StallPolicy::new(1024, Duration::from_secs(10));
    /// let error = StallBody::new(Empty::<bytes::Bytes>::new(), policy).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    /// ```
    pub fn new(body: B, policy: StallPolicy) -> io::Result<Self> {
        Self::with_hook(body, policy, || ())
    }

    /// `on_stall` is called before the body is dropped.
    pub(super) fn with_hook(
        body: B,
        policy: StallPolicy,
        on_stall: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            content: Judged::new(Box::pin(body), policy, on_stall)?,
            parts: Parts::default(),
            over: false,
        })
    }
}

impl<B> Body for StallBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        this.content.asked(this.parts.asked());
        let mut content = this.content.content();
        let Some(body) = &mut *content else {
            this.over = true;
            return Poll::Ready(Some(Err(body_error(CloseReason::Stalled))));
        };
        if this.parts.is_empty() {
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(end) => {
                    this.over = true;
                    return Poll::Ready(end.map(|frame| frame.map_err(Into::into)));
                }
                Poll::Pending => return Poll::Pending,
            };
            match frame.into_data() {
                Ok(data) => this.parts.put(data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let part = this.parts.next();
        drop(content);
        this.content.handed();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        let content = self.content.content();
        let ended = content.as_ref().is_some_and(|body| body.is_end_stream());
        self.over || ended && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let content = self.content.content();
        let hint = content.as_ref().map(|body| body.size_hint());
        self.parts.size_hint(hint.unwrap_or_default())
    }
}
