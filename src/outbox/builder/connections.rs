//! When the outbox connects, and when it gives up.

use super::Builder;
use crate::outbox::message::Message;
use std::io;
use std::time::Duration;

impl<T: Message> Builder<T> {
    /// The delays before each attempt to connect after a loss. Default: [`Backoff`](crate::outbox::Backoff)'s.
    ///
    /// The delays start from the first one again after a healthy connection, see
    /// [`reset_backoff_after`](Self::reset_backoff_after). If the iterator ends, the outbox gives up. A delay below one
    /// millisecond counts as one millisecond. An attempt may come up to one millisecond early, because tokio's timer
    /// counts in milliseconds. An iterator that panics is replaced by the default.
    ///
    /// ```
    /// use hangup::outbox::{Backoff, Outbox};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .backoff(Backoff::exponential(Duration::from_millis(50), Duration::from_secs(2)).unwrap())
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn backoff<B>(mut self, delays: B) -> Self
    where
        B: IntoIterator<Item = Duration> + Clone + Send + 'static,
        B::IntoIter: Send + 'static,
    {
        self.settings.delays = Box::new(move || Box::new(delays.clone().into_iter()));
        self
    }

    /// How long a connection must last to count as healthy. After a healthy connection the [back-off](Self::backoff)
    /// starts again from its first delay. Default: 10 s.
    ///
    /// A connection counts as healthy earlier if the peer's program shows that it runs: by a confirmation with
    /// [`Confirm::ByPeer`](crate::outbox::Confirm::ByPeer), or by any byte that it sends with
    /// [`Confirm::Acknowledged`](crate::outbox::Confirm::Acknowledged). An acknowledgement by TCP is not enough, because a
    /// load balancer without a back end sends it too.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .reset_backoff_after(Duration::from_secs(30))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset_backoff_after(mut self, lasted: Duration) -> Self {
        self.settings.limits.reset_backoff_after = lasted;
        self
    }

    /// On which errors the outbox gives up instead of connecting again. Default: errors of the kinds
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) and [`Unsupported`](io::ErrorKind::Unsupported), which mean a
    /// mistake in the program. A look-up that finds no address has the kind `InvalidInput` too, and is tried again.
    ///
    /// `rule` is called with each error of `connect` and with each error that ends a connection. It should return `false`
    /// for every temporary error: a refused or unreachable address, an address that does not exist yet, a rejection by
    /// a firewall, a failed look-up, unexpected bytes from a captive portal.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UndeliveredReason};
    /// use std::io::ErrorKind;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .give_up_on(|error| error.kind() == ErrorKind::ConnectionRefused)
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await.unwrap();
    /// let error = receipt.await.unwrap_err();
    /// assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_up_on(mut self, rule: impl FnMut(&io::Error) -> bool + Send + 'static) -> Self {
        self.settings.give_up_on = Box::new(rule);
        self
    }

    /// Gives up after this time without a healthy connection, see
    /// [`reset_backoff_after`](Self::reset_backoff_after). Default: never.
    ///
    /// [`Outbox::resume`](crate::outbox::Outbox::resume) restarts an outbox that gave up.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UndeliveredReason};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .give_up_after(Duration::from_millis(50))
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await.unwrap();
    /// let error = receipt.await.unwrap_err();
    /// assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_up_after(mut self, without_connection: Duration) -> Self {
        self.settings.limits.give_up_after = Some(without_connection);
        self
    }

    /// How long one call of `connect` may take. Default: 10 s. `None` leaves it to the operating system, which
    /// tries for about two minutes on Linux.
    ///
    /// Without a limit, an attempt to reach a host that drops all packets delays the next attempt, which may succeed.
    /// [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .connect_timeout(Duration::from_secs(3))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.connect_timeout = within.into();
        self
    }

    /// How long a peer may be unreachable before its connection counts as lost. Default: 30 s. It applies where `connect`
    /// returns a bare [`TcpStream`](tokio::net::TcpStream): a [`MonitoredStream`](crate::MonitoredStream)
    /// has its own configuration. `None` turns it off.
    ///
    /// See [`MonitorConfig::dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), which says
    /// what values are allowed. [`spawn`](Self::spawn) refuses others.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .dead_peer_timeout(Duration::from_secs(60))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_peer_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.dead_peer_timeout = within.into();
        self
    }
}
