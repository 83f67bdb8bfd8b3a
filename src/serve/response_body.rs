//! Wraps the body of a response between the service and hyper.

use super::connection::{ConnectionState, RequestGuard};
use super::file::Polling;
use super::handed::Handed;
use crate::http::{Parts, Progress};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The service's body, or a message of the server. The request is under way until this is dropped.
    pub struct ResponseBody<B> {
        #[pin]
        content: Content<B>,
        guard: RequestGuard,
        stream: Option<StreamBody>,
    }
}

pin_project! {
    #[project = ContentProj]
    enum Content<B> {
        Service { #[pin] body: B },
        Message { text: Option<Bytes> },
    }
}

/// State that only HTTP/2 needs.
struct StreamBody {
    handed: Arc<Handed>,
    parts: Parts,
    /// What comes after the data: trailers, or nothing.
    end: Option<Option<Frame<Bytes>>>,
    /// The end has waited for the connection's turn.
    looked: bool,
}

impl<B> ResponseBody<B> {
    /// The body of a service. `stream` has the progress of the response on HTTP/2, and is `None` on HTTP/1.
    pub(super) fn new(body: B, guard: RequestGuard, stream: Option<Arc<Progress>>) -> Self {
        Self::with_content(Content::Service { body }, guard, stream)
    }

    /// A body of the server's own, which explains a status. `stream` as for [`new`](Self::new).
    pub(super) fn message(
        text: &'static str,
        guard: RequestGuard,
        stream: Option<Arc<Progress>>,
    ) -> Self {
        let text = Some(Bytes::from_static(text.as_bytes()));
        Self::with_content(Content::Message { text }, guard, stream)
    }

    fn with_content(
        content: Content<B>,
        guard: RequestGuard,
        stream: Option<Arc<Progress>>,
    ) -> Self {
        let stream = stream.map(|progress| StreamBody {
            handed: Arc::new(Handed::new(guard.connection().clone(), progress)),
            parts: Parts::default(),
            end: None,
            looked: false,
        });
        Self {
            content,
            guard,
            stream,
        }
    }
}

impl<B> Content<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body } => body.is_end_stream(),
            Self::Message { text } => text.is_none(),
        }
    }

    /// The next frame. While the service's body is polled, a [`FileBody`](crate::serve::FileBody) in it can see for which
    /// connection that is.
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &Arc<ConnectionState>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            ContentProj::Service { body } => {
                let _polling = Polling::by(connection);
                let frame = ready!(body.poll_frame(cx)).map(|frame| frame.map_err(Into::into));
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                    && let Err(error) = connection.slot.check(data)
                {
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(frame)
            }
            ContentProj::Message { text } => Poll::Ready(text.take().map(Frame::data).map(Ok)),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let connection = this.guard.connection();
        let Some(stream) = this.stream else {
            return this.content.poll(cx, connection);
        };
        let progress = stream.handed.progress();
        progress.asked(0);
        let is_rest = !stream.parts.is_empty();
        if stream.parts.is_empty() && stream.end.is_none() {
            let polled = match this.content.is_end_stream() {
                true => Poll::Ready(None),
                false => this.content.poll(cx, connection),
            };
            match ready!(polled).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => stream.parts.put(data),
                Some(Err(trailers)) => stream.end = Some(Some(trailers)),
                None => stream.end = Some(None),
            }
        }
        if let Some(end) = &mut stream.end {
            if !stream.handed.is_sent() {
                // Usually the connection runs next, and sends all. A look costs less than a time limit for that.
                if !mem::replace(&mut stream.looked, true) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                progress.handed();
                ready!(stream.handed.poll_sent(cx));
            }
            return Poll::Ready(end.take().map(Ok));
        }
        progress.handed();
        let part = stream.parts.next();
        connection.earned_frames.part(part.len());
        // The requests in progress share the rate that the client has to keep.
        let worth = part.len().saturating_mul(connection.activity.in_flight());
        let part = stream.handed.part(part, is_rest, worth as u64);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        let is_over = |stream: &StreamBody| {
            stream.parts.is_empty() && stream.end.is_none() && stream.handed.is_sent()
        };
        self.content.is_end_stream() && self.stream.as_ref().is_none_or(is_over)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = match &self.content {
            Content::Service { body } => body.size_hint(),
            Content::Message { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        };
        match &self.stream {
            Some(stream) => stream.parts.size_hint(hint),
            None => hint,
        }
    }
}
