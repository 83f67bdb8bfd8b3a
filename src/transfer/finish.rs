//! Waiting until the peer has acknowledged what it was sent.

use crate::errors::CloseReason;
use crate::policy::timer;
use crate::state::Transfer;
use crate::stream::MonitoredStream;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::AsyncWrite;

impl<S> MonitoredStream<S> {
    /// Waits until the peer has acknowledged all accepted bytes: [`Monitor::wait_acknowledged`].
    ///
    /// # Errors
    ///
    /// Those of [`Monitor::wait_acknowledged`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_acknowledged(&self) -> io::Result<()> {
        self.monitor().wait_acknowledged().await
    }
}

impl<S: AsyncWrite + Unpin> MonitoredStream<S> {
    /// Ends in an orderly way: shuts our sending direction down, and waits until the peer has
    /// acknowledged everything or has left, but no longer than `within`.
    ///
    /// A stream that is dropped right after its last write may lose what is under way: a peer that
    /// resets the connection, or a kernel with unread input that does so in our name, throws it away. This
    /// waits for it to arrive.
    ///
    /// Where it is not known what is acknowledged, above TLS for instance, the peer's FIN in answer to
    /// ours is waited for.
    ///
    /// # Errors
    ///
    /// * [`TimedOut`](ErrorKind::TimedOut): not within the time. The stream is as it was, and open if the
    ///   peer is there: [`transfer`](Monitor::transfer) tells how much is missing;
    /// * the [`CloseReason`], if the peer left and did not acknowledge everything;
    /// * those of `poll_shutdown` of the wrapped stream;
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again: a shutdown that is done stays done.
    pub async fn finish(&mut self, within: Duration) -> io::Result<Transfer> {
        let _timer = timer::runtime("`finish`")?;
        let monitor = self.monitor();
        let ended = tokio::time::timeout(within, async {
            poll_fn(|cx| Pin::new(&mut *self).poll_shutdown(cx)).await?;
            match monitor.wait_acknowledged().await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    match monitor.closed().await {
                        CloseReason::Finished => Ok(()),
                        reason => Err(reason.into()),
                    }
                }
                drained => drained,
            }
        });
        match ended.await {
            Ok(ended) => ended.map(|()| monitor.transfer()),
            Err(_) => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("hangup: the peer has not acknowledged everything within {within:?}"),
            )),
        }
    }
}
