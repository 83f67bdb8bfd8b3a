//! The connections of a server.

use crate::stream::{AcceptRetry, MonitoredListener, MonitoredStream};
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The connections of a [`MonitoredListener`], for tonic's `serve_with_incoming`.
///
/// It never ends, and gives no errors: it goes on after them, as
/// [`accept_retrying`](MonitoredListener::accept_retrying) does.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming {
    listener: MonitoredListener,
    retry: AcceptRetry,
}

impl Incoming {
    /// The connections of `listener`.
    pub fn new(listener: MonitoredListener) -> Self {
        Self {
            listener,
            retry: AcceptRetry::default(),
        }
    }

    /// The listener.
    pub fn get_ref(&self) -> &MonitoredListener {
        &self.listener
    }
}

impl From<MonitoredListener> for Incoming {
    fn from(listener: MonitoredListener) -> Self {
        Self::new(listener)
    }
}

impl Stream for Incoming {
    type Item = io::Result<MonitoredStream<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let accepted = this.listener.poll_accept_retrying(&mut this.retry, cx);
        accepted.map(|(stream, _)| Some(Ok(stream)))
    }
}
