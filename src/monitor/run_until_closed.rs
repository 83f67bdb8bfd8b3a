//! Work that ends with the stream.

use super::handle::Monitor;
use crate::errors::CloseReason;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

impl Monitor {
    /// Runs `future` until it completes or the stream closes, whichever comes first.
    ///
    /// # It is for work, not for reads
    ///
    /// A peer may send something and close at once: a QUIT, a last message, an answer. The close is detected
    /// before the program has read that data, so a `future` that reads the stream would be dropped and the data
    /// would stay unread. Read without this method. Received data stays readable after the close, and a read of a
    /// closed stream always reaches EOF or an error. Use this method for work that is done *for* the peer: queries,
    /// tokens, files.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, mut peer) = tokio::net::UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let monitor = stream.monitor();
    /// peer.write_all(b"QUIT").await?;
    /// drop(peer);
    /// assert_eq!(monitor.closed().await, CloseReason::PeerClosed);
    ///
    /// // The work stops, and the command is delivered.
    /// let work = monitor.run_until_closed(std::future::pending::<()>()).await;
    /// assert_eq!(work, Err(CloseReason::PeerClosed));
    /// let mut command = String::new();
    /// stream.read_to_string(&mut command).await?;
    /// assert_eq!(command, "QUIT");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The reason, if the stream closes before `future` completes. `future` is then dropped. If the stream is closed
    /// from the start, `future` is not polled at all.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future` is.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// assert_eq!(monitor.run_until_closed(async { 7 }).await, Ok(7));
    /// drop(stream);
    /// assert_eq!(monitor.run_until_closed(async { 7 }).await, Err(CloseReason::Dropped));
    /// # }
    /// ```
    pub async fn run_until_closed<F: Future>(&self, future: F) -> Result<F::Output, CloseReason> {
        let mut future = pin!(future);
        let mut closed = pin!(self.closed());
        std::future::poll_fn(|cx| match closed.as_mut().poll(cx) {
            Poll::Ready(reason) => Poll::Ready(Err(reason)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }
}
