//! Senders that are woken, because there is room for them, and poll no more, or only after a while.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Polls a future once, and then does something else: from the time at which it is woken on, for `pause`. Gives the future
/// back, unless it was ready.
pub(crate) async fn distracted<F: Future + Unpin>(
    mut future: F,
    pause: Duration,
) -> Result<F::Output, F> {
    if let Poll::Ready(output) = futures::poll!(&mut future) {
        return Ok(output);
    }
    let mut was_polled = false;
    poll_fn(|_| match std::mem::replace(&mut was_polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
    sleep(pause).await;
    Err(future)
}
