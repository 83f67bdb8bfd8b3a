//! Bodies that end with the connection.

use super::body_error::{BodyError, body_error};
use crate::monitor::UntilClosed;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl<B> Body for UntilClosed<B>
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
        if self.is_over() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = self.as_mut().poll_closed(cx) {
            return Poll::Ready(Some(Err(body_error(reason))));
        }
        let frame = ready!(self.as_mut().get_pin_mut().poll_frame(cx));
        if frame.is_none() {
            self.end();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over() || self.get_ref().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.get_ref().size_hint()
    }
}
