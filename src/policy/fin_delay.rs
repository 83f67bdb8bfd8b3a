//! Delaying a FIN for a moment, so that a protocol above the socket can say what it means.

use super::config::MonitorConfig;
use super::timer;
use std::io;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

impl MonitorConfig {
    /// Delays a FIN for up to `within`, until the stream's own reads have said what it means. Default: none, and 3 ms for
    /// a [layered](crate::MonitoredStream::layer) stream. Zero turns it off.
    ///
    /// For a stream whose protocol has an end of its own, such as TLS. A FIN after close_notify is [`PeerClosed`], one
    /// without it is [`Truncated`], and an alert ([`TlsAlert`]) or an invalid record ([`Tls`]) may precede it. The watcher
    /// sees only the FIN, and usually sees it first. With this option
    /// * a pending read finds the end by itself and reports it, as early as the watcher would have;
    /// * a pending write, flush or shutdown is woken; each of them reads ahead up to 64 KiB of input, which later reads get
    ///   in order, to find the end behind it.
    ///   Input that was read ahead is unread, and holds a refusal back, as
    ///   [unread input](crate::MonitoredStream#after-a-fin) always does;
    /// * if none has found it `within` this time, the stream closes as it would have without the delay.
    ///
    /// So a stream that is read or written reports the close no later, and an idle one reports it `within` later and
    /// without the finer reason. A few milliseconds are enough: the delay covers the time until the other task runs. The
    /// timer starts with a FIN, or with the close of a Unix peer or of the other end of a pipe, unless we have shut down. A reset is
    /// never delayed. A [probe](crate::Monitor::probe) reports the FIN after the delay. With
    /// [`HalfClose::Allow`](crate::HalfClose::Allow), where a close_notify comes before the close of a Unix peer, the close waits for
    /// the rest of the delay.
    ///
    /// It applies to watched streams, and to the *upper* of two streams, which reads the protocol:
    /// `MonitoredStream<TlsStream<TcpStream>>`. A stream below TLS reads only the FIN itself.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitorConfig, MonitoredStream};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let tls = listener.accept().await?.0;
    /// let config = MonitorConfig::new().fin_delay(Duration::from_millis(3));
    /// let stream = MonitoredStream::with_config(tls, &config)?;
    /// # drop(client);
    /// // Nobody reads.
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`PeerClosed`]: crate::CloseReason::PeerClosed
    /// [`Truncated`]: crate::CloseReason::Truncated
    /// [`TlsAlert`]: crate::CloseReason::TlsAlert
    /// [`Tls`]: crate::CloseReason::Tls
    #[must_use]
    pub fn fin_delay(mut self, within: Duration) -> Self {
        self.fin_delay = Some(within);
        self
    }

    /// Sets the default FIN delay of a layered stream, unless one is set.
    #[cfg(feature = "tls")]
    pub(crate) fn delay_fin_by_default(&mut self) {
        self.fin_delay.get_or_insert(FinDelay::FOR_LAYERS);
    }

    pub(crate) fn is_fin_delayed(&self) -> bool {
        self.fin_delay.is_some_and(|within| !within.is_zero())
    }

    pub(crate) fn new_fin_delay(&self) -> io::Result<Option<FinDelay>> {
        self.fin_delay.map(FinDelay::new).transpose()
    }
}

/// How long a FIN is delayed.
#[derive(Debug)]
pub(crate) struct FinDelay {
    within: Duration,
    /// The runtime whose timer is used; `None` if a FIN is not delayed.
    runtime: Option<Handle>,
    /// When the FIN was detected.
    since: Option<Instant>,
}

/// What to do about a FIN.
#[derive(Debug)]
pub(crate) enum DelayStep {
    /// It was detected for the first time. Ask again after this duration.
    Begins(Duration, Handle),
    /// The delay is running.
    Lasts,
    /// The delay is over, and the protocol above has not said what the FIN means.
    Over,
}

impl FinDelay {
    /// The delay of a layered stream, unless its configuration has another. A stream that reads or writes reports the end
    /// within 0.3 ms (`tests/tls/ends.rs`). With the timer's own millisecond an idle stream reports it within 5 ms.
    pub(crate) const FOR_LAYERS: Duration = Duration::from_millis(3);

    /// Delays a FIN by `within`, with the timer of the current runtime.
    pub(crate) fn new(within: Duration) -> io::Result<Self> {
        let runtime = match within.is_zero() {
            true => None,
            false => Some(timer::runtime("a FIN delay")?),
        };
        Ok(Self {
            within,
            runtime,
            since: None,
        })
    }

    /// Whether a FIN is delayed at all.
    pub(crate) fn is_on(&self) -> bool {
        self.runtime.is_some()
    }

    /// A FIN is detected, for the first time or again.
    pub(crate) fn on_fin(&mut self) -> DelayStep {
        let Some(runtime) = &self.runtime else {
            return DelayStep::Over;
        };
        match self.since {
            None => {
                self.since = Some(Instant::now());
                DelayStep::Begins(self.within, runtime.clone())
            }
            Some(since) if since.elapsed() < self.within => DelayStep::Lasts,
            Some(_) => DelayStep::Over,
        }
    }

    /// Ends the delay that has begun.
    pub(crate) fn end(&mut self) {
        self.within = Duration::ZERO;
    }
}
