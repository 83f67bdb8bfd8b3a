//! Delaying a FIN for a moment, so that a protocol above the socket can say what it means.

use super::timer;
use std::io;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

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
}
