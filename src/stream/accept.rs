//! Accepting in a loop that an error does not end.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The pause before the next attempt when the process or the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// An accept that goes on after errors.
///
/// After an error of one connection it takes the next one at once. When descriptors or memory have run out,
/// the connection waits in the kernel's queue, and so does this: a retry without a pause would spin.
#[derive(Debug, Default)]
pub(crate) struct AcceptRetry {
    pause: Option<Pin<Box<Sleep>>>,
}

impl AcceptRetry {
    /// Polls `accept` until it succeeds or is pending, and gives each error to `on_error`.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
        on_error: impl Fn(&io::Error),
    ) -> Poll<T> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let error = match ready!(accept(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(error) => error,
            };
            on_error(&error);
            if !is_of_one_connection(&error) {
                self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
            }
        }
    }
}

/// Whether the error is of the connection that was accepted, and says nothing about the next one.
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
    )
}
