//! What a handler produces.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Interval, interval};

pub(crate) const EVENT: &[u8] = b"data: one more event\n\n";
const CHUNK: &[u8] = &[0; 64 * 1024];

pub(crate) struct Work {
    pace: Pace,
    produced: Arc<AtomicU64>,
}

enum Pace {
    /// Waits for something that does not come, such as a database or another client.
    Idle,
    Events(Interval),
    Bulk,
}

impl Work {
    pub(crate) fn idle() -> Self {
        Self::new(Pace::Idle)
    }

    pub(crate) fn events(every: Duration) -> Self {
        Self::new(Pace::Events(interval(every)))
    }

    pub(crate) fn bulk() -> Self {
        Self::new(Pace::Bulk)
    }

    fn new(pace: Pace) -> Self {
        Self {
            pace,
            produced: Arc::default(),
        }
    }

    /// How many bytes have been produced.
    pub(crate) fn produced(&self) -> Arc<AtomicU64> {
        self.produced.clone()
    }

    /// The next bytes to send.
    pub(crate) async fn next(&mut self) -> &'static [u8] {
        let next = match &mut self.pace {
            Pace::Idle => pending().await,
            Pace::Events(every) => {
                every.tick().await;
                EVENT
            }
            Pace::Bulk => CHUNK,
        };
        self.produced.fetch_add(next.len() as u64, Relaxed);
        next
    }
}
