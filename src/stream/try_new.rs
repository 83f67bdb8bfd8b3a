//! Constructors that return the stream if it cannot be watched.

use super::monitored_stream::MonitoredStream;
use super::wrap_error::WrapError;
use crate::policy::{MonitorConfig, ReadAhead};
use crate::watcher::{Known, Watchable};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S> MonitoredStream<S> {
    /// As [`new`](Self::new), and an error gives `io` back.
    ///
    /// # Errors
    ///
    /// A [`WrapError`] with an error of [`new`](Self::new), and `io`.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let stream = match MonitoredStream::try_new(ours) {
    ///     Ok(stream) => stream,
    ///     // Better served without a monitor than not at all.
    ///     Err(error) => MonitoredStream::unwatched(error.into_inner()),
    /// };
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_new<By>(io: S) -> Result<Self, WrapError<S>>
    where
        S: Watchable<By>,
    {
        Self::wrap(io, Known::of::<S>(), &MonitorConfig::default(), None)
    }
}

impl<S: AsyncRead> MonitoredStream<S> {
    /// As [`with_config`](Self::with_config), and an error gives `io` back. Options of the socket that were set
    /// before the error stay set.
    ///
    /// # Errors
    ///
    /// A [`WrapError`] with an error of [`with_config`](Self::with_config), and `io`.
    ///
    /// ```
    /// use hangup::{MonitorConfig, MonitoredStream};
    /// use std::time::Duration;
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (ours, _peer) = UnixStream::pair()?;
    /// let impossible = MonitorConfig::new().dead_peer_timeout(Duration::ZERO);
    /// let error = MonitoredStream::try_with_config(ours, &impossible).unwrap_err();
    /// let stream = MonitoredStream::try_new(error.into_inner())?;
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_with_config<By>(io: S, config: &MonitorConfig) -> Result<Self, WrapError<S>>
    where
        S: Watchable<By>,
    {
        Self::wrap_known(io, Known::of::<S>(), config)
    }

    /// As [`try_with_config`](Self::try_with_config), for a stream of whose descriptor something is known.
    pub(super) fn wrap_known<By>(
        io: S,
        known: Known,
        config: &MonitorConfig,
    ) -> Result<Self, WrapError<S>>
    where
        S: Watchable<By>,
    {
        let (limit, looks) = (config.read_ahead_limit(), config.is_fin_delayed());
        let ahead =
            (limit.is_some() || looks).then(|| Box::new(ReadAhead::new(limit.unwrap_or(0), looks)));
        Self::wrap(io, known, config, ahead)
    }
}

impl<S: AsyncWrite> MonitoredStream<S> {
    /// As [`write_only`](Self::write_only), and an error gives `io` back.
    ///
    /// # Errors
    ///
    /// A [`WrapError`] with an error of [`write_only`](Self::write_only), and `io`.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::{MonitorConfig, MonitoredStream};
    ///
    /// let (writer, _reader) = tokio::net::unix::pipe::pipe()?;
    /// let reads = MonitorConfig::new().read_ahead(1024);
    /// let error = MonitoredStream::try_write_only(writer, &reads).unwrap_err();
    /// let stream = MonitoredStream::try_write_only(error.into_inner(), &MonitorConfig::new())?;
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn try_write_only<By>(io: S, config: &MonitorConfig) -> Result<Self, WrapError<S>>
    where
        S: Watchable<By>,
    {
        if config.read_ahead_limit().is_some() || config.is_fin_delayed() {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "hangup: write_only takes no configuration with read_ahead or fin_delay: both read the stream",
            );
            return Err(WrapError::new(error, io));
        }
        Self::wrap(io, Known::of::<S>(), config, None)
    }
}
