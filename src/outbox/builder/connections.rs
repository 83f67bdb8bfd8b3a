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
    /// use hangup::outbox::{Backoff, Outbox, UndeliveredReason};
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio::time::Instant;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (attempt, mut attempts) = tokio::sync::mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let _ = attempt.send(Instant::now());
    ///     async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) }
    /// };
    /// // Any delays that can be repeated: here two, so the third attempt is the last one.
    /// let outbox = Outbox::builder(connect, LinesCodec::new)
    ///     .backoff([Duration::from_secs(1), Duration::from_secs(5)])
    ///     .spawn()?;
    /// let receipt = outbox.send("door opened").await?;
    /// let error = receipt.await.unwrap_err();
    /// assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    /// let mut times = Vec::new();
    /// attempts.recv_many(&mut times, 10).await;
    /// let delays: Vec<_> = times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64().round()).collect();
    /// assert_eq!(delays, [1.0, 5.0]);
    ///
    /// // The default, with other limits.
    /// let backoff = Backoff::exponential(Duration::from_millis(50), Duration::from_secs(2))?;
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .backoff(backoff)
    ///     .spawn()?;
    /// # drop(outbox);
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
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Confirm, Outbox, Processed};
    /// use std::time::Duration;
    /// use tokio::sync::mpsc;
    /// use tokio::time::{Instant, sleep};
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// // Each attempt makes a pipe in memory, and gives the peer's end to this program.
    /// let (accept, mut accepted) = mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let (ours, theirs) = tokio::io::duplex(1024);
    ///     let _ = accept.send(theirs);
    ///     async { Ok::<_, std::io::Error>(MonitoredStream::unwatched(ours)) }
    /// };
    /// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
    ///     .confirm(Confirm::by_number(LinesCodec::new, ok))
    ///     .backoff([1, 60, 60].map(Duration::from_secs))
    ///     .reset_backoff_after(Duration::from_secs(30))
    ///     .spawn()?;
    /// let mut peer = accepted.recv().await.unwrap();
    /// // How long the connection lasts, and the delay after it.
    /// for (lasts, delay) in [(0, 1.0), (29, 60.0), (31, 1.0)] {
    ///     sleep(Duration::from_secs(lasts)).await;
    ///     drop(peer);
    ///     let lost = Instant::now();
    ///     peer = accepted.recv().await.unwrap();
    ///     assert_eq!(lost.elapsed().as_secs_f64().round(), delay);
    /// }
    /// # drop(outbox);
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
    /// It ends an attempt that is under way then. If there is none, the outbox makes a last one, within
    /// [`connect_timeout`](Self::connect_timeout). A connection is not ended: the time counts when it is lost.
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
    /// use std::io;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio::sync::mpsc;
    /// use tokio::time::Instant;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> io::Result<()> {
    /// let (attempt, mut attempts) = mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let _ = attempt.send(Instant::now());
    ///     std::future::pending::<io::Result<TcpStream>>() // the host drops all packets
    /// };
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
    ///     .connect_timeout(Duration::from_secs(3))
    ///     .backoff([Duration::from_secs(1); 5])
    ///     .spawn()?;
    /// let first = attempts.recv().await.unwrap();
    /// let second = attempts.recv().await.unwrap();
    /// assert_eq!((second - first).as_secs_f64().round(), 4.0); // the limit, and the delay
    /// # drop(outbox);
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
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let builder = || Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new);
    /// let outbox = builder().dead_peer_timeout(Duration::from_secs(60)).spawn()?;
    ///
    /// // The system's timers count in seconds, and need four of them.
    /// let error = builder().dead_peer_timeout(Duration::from_secs(1)).spawn().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # drop(outbox);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_peer_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.dead_peer_timeout = within.into();
        self
    }
}
