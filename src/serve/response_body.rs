//! Wraps the body of a response between the service and hyper.

use super::connection::{ConnectionState, RequestGuard};
use super::file::Polling;
use crate::http::{Parts, Progress};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::error::Error;
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
    progress: Arc<Progress>,
    parts: Parts,
}

impl<B> ResponseBody<B> {
    /// The body of a service. `stream` has the progress of the response on HTTP/2, and is `None` on HTTP/1.
    pub(super) fn new(body: B, guard: RequestGuard, stream: Option<Arc<Progress>>) -> Self {
        let stream = stream.map(|progress| StreamBody {
            progress,
            parts: Parts::default(),
        });
        Self {
            content: Content::Service { body },
            guard,
            stream,
        }
    }

    /// A body of the server's own, which explains a status.
    pub(super) fn message(text: &'static str, guard: RequestGuard) -> Self {
        let text = Some(Bytes::from_static(text.as_bytes()));
        Self {
            content: Content::Message { text },
            guard,
            stream: None,
        }
    }
}

impl<B> Content<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
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
        // The requests in progress share the rate that the client has to keep.
        let requests = connection.activity.in_flight();
        let taken = stream.parts.asked().saturating_mul(requests);
        stream.progress.asked(taken);
        if stream.parts.is_empty() {
            match this.content.poll(cx, connection) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => stream.parts.put(data),
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                polled => return polled,
            }
        }
        let part = stream.parts.next();
        stream.progress.handed();
        connection.earned_frames.part(part.len());
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        let ended = match &self.content {
            Content::Service { body } => body.is_end_stream(),
            Content::Message { text } => text.is_none(),
        };
        ended
            && self
                .stream
                .as_ref()
                .is_none_or(|stream| stream.parts.is_empty())
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
