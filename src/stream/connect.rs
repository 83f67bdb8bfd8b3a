//! Connecting within a time limit.

use super::monitored_stream::MonitoredStream;
use crate::policy::{MonitorConfig, timer};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::{TcpStream, ToSocketAddrs};

/// The default limit, the same as the outbox's. Linux itself tries for about two minutes.
const WITHIN: Duration = Duration::from_secs(10);

impl MonitoredStream<TcpStream> {
    /// Connects to `address` within 10 s, and watches the connection.
    ///
    /// # Errors
    ///
    /// As [`connect_with`](Self::connect_with).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an attempt that is under way is given up.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = MonitoredStream::connect(listener.local_addr()?).await?;
    /// drop(listener.accept().await?);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_with(address, &MonitorConfig::default(), WITHIN).await
    }

    /// Connects to `address` within a time limit, and watches the connection with `config`. `None` stands for the
    /// system's own limit (about two minutes on Linux).
    ///
    /// The limit covers the resolution of the name and all of its addresses together. A resolution that takes longer
    /// continues on a blocking thread of the runtime, and its result is ignored.
    ///
    /// # Errors
    ///
    /// * [`TimedOut`](ErrorKind::TimedOut): there is no connection within the time;
    /// * those of [`TcpStream::connect`], and of [`with_config`](Self::with_config);
    /// * [`Unsupported`](ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an attempt that is under way is given up.
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig, MonitoredStream};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let within = Duration::from_secs(3);
    /// let stream = MonitoredStream::connect_with(listener.local_addr()?, &config, within).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with(
        address: impl ToSocketAddrs,
        config: &MonitorConfig,
        within: impl Into<Option<Duration>>,
    ) -> io::Result<Self> {
        let connecting = TcpStream::connect(address);
        let io = match within.into() {
            None => connecting.await?,
            Some(within) => {
                timer::runtime("a limit on the time to connect")?;
                let limited = tokio::time::timeout(within, connecting).await;
                limited.unwrap_or_else(|_| Err(no_connection(within)))?
            }
        };
        Self::with_config(io, config)
    }
}

fn no_connection(within: Duration) -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        format!("hangup: there is no connection after {within:?}"),
    )
}
