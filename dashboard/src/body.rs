//! The body of a recorded response: passes the frames on unchanged, and counts their bytes.

use crate::board::Board;
use crate::connection::Connection;
use crate::response::Response;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A response in progress. Dropping it ends the response.
pub(crate) struct Recording {
    /// A strong reference, unlike the connection's: a server that ends drops its dashboard before the last bodies.
    board: Arc<Board>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) response: Arc<Response>,
    number: u64,
    complete: bool,
    error: Option<String>,
}

impl Recording {
    pub(crate) fn new(board: Arc<Board>, connection: Arc<Connection>, response: Response) -> Self {
        let response = Arc::new(response);
        Self {
            board,
            number: connection.begin(response.clone()),
            connection,
            response,
            complete: false,
            error: None,
        }
    }

    /// The whole body was sent, or there is none.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let error = self.error.take();
        let ended = self.connection.end(self.number, self.complete, error);
        if let Some(ended) = ended {
            self.board.ended(ended);
        }
    }
}

pub(crate) struct RecordedBody {
    body: Body,
    recording: Recording,
}

impl RecordedBody {
    pub(crate) fn new(body: Body, recording: Recording) -> Self {
        let mut recorded = Self { body, recording };
        recorded.check_complete();
        recorded
    }

    /// Checks whether the last byte was taken. HTTP does not poll a body of known length after its last byte.
    fn check_complete(&mut self) {
        let response = &self.recording.response;
        let is_all = response
            .length()
            .is_some_and(|length| response.sent() >= length);
        if is_all || self.body.is_end_stream() {
            self.recording.complete();
        }
    }
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.recording.response.advance(bytes);
                self.check_complete();
            }
            Some(Err(error)) => self.recording.error = Some(error.to_string()),
            None => {
                // A file that has become shorter ends before its length.
                let response = &self.recording.response;
                if response
                    .length()
                    .is_some_and(|length| response.sent() < length)
                {
                    self.recording.error = Some("the body ended before its length".to_owned());
                } else {
                    self.recording.complete();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
