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
    /// A write of `future` may meet the end of the stream before the close does. Both are
    /// [`RunError::Closed`] here, with the reason that every observer of the stream tells. All other errors
    /// are [`RunError::Failed`], untouched: a file that is missing, a database that reset *its* connection, an
    /// encoder that failed. An error counts as the stream's if it is an error of a connection
    /// ([`CloseReason::find`]) and this stream is closed; the kernel is asked for that, once.
    ///
    /// As with `run_until_closed`: it is for what is made for the peer, and not for reads.
    ///
    /// # Errors
    ///
    /// [`RunError`], as said.
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

    /// The reason of this stream, if `error` may be the end of it.
    fn reason_for(&self, error: &(dyn Error + 'static)) -> Option<CloseReason> {
        CloseReason::find(error)?;
        self.probe().reason().cloned()
    }
}
