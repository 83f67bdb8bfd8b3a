//! Waiting for a disk that may not answer.

use crate::stream::PollRefused;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

/// Waits for `disk`, as long as the stream takes bytes.
pub(super) async fn while_open<S: PollRefused, T>(
    stream: &mut S,
    disk: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut disk = pin!(disk);
    poll_fn(|cx| match disk.as_mut().poll(cx) {
        Poll::Pending => stream.poll_refused(cx).map(|reason| Err(reason.into())),
        read => read,
    })
    .await
}
