//! The body of a response: ends when the stream is over, and accounts for what is read.

use crate::ledger::Ledger;
use axum::body::Body;
use bytes::Bytes;
use hangup::Closed;
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub(crate) struct Watched {
    body: Body,
    closed: Closed,
    ledger: Arc<Ledger>,
}

impl Watched {
    pub(crate) fn new(body: Body, ledger: Arc<Ledger>) -> Self {
        Self {
            body,
            closed: ledger.closed(),
            ledger,
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    /// A hang-up comes first: nothing more is read for nobody.
    ///
    /// While HTTP is blocked in a write it does not ask for more. Then it is that write that the
    /// hang-up wakes and fails, and the body is dropped.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.ledger.head_made();
        if let Poll::Ready(reason) = Pin::new(&mut self.closed).poll(cx) {
            return Poll::Ready(Some(Err(reason.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.ledger.read(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(error)) => self.ledger.failed(error),
            None => self.ledger.ended(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ledger.stop();
    }
}
