//! Work that may fail, until the stream closes.

use super::handle::Monitor;
use super::run_error::RunError;
use crate::errors::CloseReason;
use std::error::Error;
use std::future::Future;

impl Monitor {
    /// Runs `future`, which may fail, until it completes or the stream closes: as
    /// [`run_until_closed`](Self::run_until_closed), with one error for both.
    ///
    /// A write of `future` may detect the end of the stream before the watcher does. Both cases are
    /// [`RunError::Closed`] here, with the reason that every observer of the stream reports. All other errors are
    /// returned unchanged as [`RunError::Failed`].
    ///
    /// | `future` fails because | this stream | result |
    /// |---|---|---|
    /// | a write finds the connection broken | is closed | [`RunError::Closed`] |
    /// | a file is missing, or an encoder fails | open or closed | [`RunError::Failed`] |
    /// | a database resets *its* connection | is open | [`RunError::Failed`] |
    /// | a database resets *its* connection | closes at the same moment | [`RunError::Closed`]: the two cannot be told apart |
    ///
    /// So an error counts as this stream's if it is an error of a connection ([`CloseReason::find`]) and the stream is
    /// closed. To find out, it [asks the kernel](Self::probe) once.
    ///
    /// As with `run_until_closed`, use it for work that is done for the peer, and not for reads.
    ///
    /// # Errors
    ///
    /// * [`RunError::Closed`]: the stream closed, before `future` completed or as the cause of its error;
    /// * [`RunError::Failed`]: `future` failed for another reason.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future` is.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream, RunError};
    /// use std::io::{Error, ErrorKind};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # #[cfg(unix)] {
    /// let (ours, peer) = tokio::net::UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let monitor = stream.monitor();
    ///
    /// let answered = monitor.run_io(stream.write_all(b"answer")).await;
    /// assert!(answered.is_ok());
    ///
    /// let missing = async { Err::<(), _>(Error::from(ErrorKind::NotFound)) };
    /// match monitor.run_io(missing).await {
    ///     Err(RunError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
    ///     other => panic!("{other:?}"),
    /// }
    ///
    /// drop(peer);
    /// let stopped = monitor.run_io(stream.write_all(&[0; 1 << 20])).await.unwrap_err();
    /// assert!(stopped.close_reason().is_some());
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_io<T, E, F>(&self, future: F) -> Result<T, RunError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: Error + 'static,
    {
        match self.run_until_closed(future).await {
            Err(reason) => Err(RunError::Closed(reason)),
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(match self.reason_for(&error) {
                Some(reason) => RunError::Closed(reason),
                None => RunError::Failed(error),
            }),
        }
    }

    /// The reason of this stream, if `error` may have been caused by its end.
    fn reason_for(&self, error: &(dyn Error + 'static)) -> Option<CloseReason> {
        CloseReason::find(error)?;
        self.probe().reason().cloned()
    }
}
