//! Accepting connections in a loop that survives errors.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The pause before the next attempt when descriptors or memory have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// An accept that continues after errors.
///
/// After an error of one connection it accepts the next one immediately. When descriptors or memory have run out, the
/// connection stays in the kernel's queue, and this waits: a retry without a pause would spin.
#[derive(Debug, Default)]
pub(crate) struct AcceptRetry {
    pause: Option<Pin<Box<Sleep>>>,
}

impl AcceptRetry {
    /// Polls `accept` until it succeeds or is pending, and passes each error to `on_error`.
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

/// Whether the error concerns only the accepted connection, and not the next ones (accept(2), "Error handling").
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
    )
}
