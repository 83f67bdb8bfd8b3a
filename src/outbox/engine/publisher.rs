//! Publishes the status of an outbox to its watch channel, without waiting for long for who holds it.
//!
//! Publishing takes the channel's lock, and whoever holds a [`Ref`](watch::Ref) holds that lock. If it then calls the
//! outbox, or waits for it, neither may wait for the `Ref`. So the threads publish that publish the status of streams, and the
//! caller waits for them only so long as it takes while nobody holds the channel.

use crate::observe::call_foreign;
use crate::outbox::status::OutboxStatus;
use crate::state::publish_by;
use crate::state::sync::lock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a call waits until its status is published. A thread needs some microseconds, or more on a busy machine.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// The channel, and what it is to be given.
#[derive(Debug)]
pub(super) struct Publisher(Arc<Channel>);

#[derive(Debug)]
struct Channel {
    sender: watch::Sender<OutboxStatus>,
    next: Mutex<Next>,
    published: Condvar,
}

#[derive(Debug, Default)]
struct Next {
    /// The newest status, unless it is published.
    status: Option<OutboxStatus>,
    /// A thread publishes, or waits for the holder of the channel. It publishes what comes meanwhile too.
    is_publishing: bool,
}

impl Publisher {
    pub(super) fn new(status: OutboxStatus) -> Self {
        Self(Arc::new(Channel {
            sender: watch::Sender::new(status),
            next: Mutex::default(),
            published: Condvar::new(),
        }))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        // Under the lock, under which `publish` finds a channel without receivers.
        let _next = lock(&self.0.next);
        self.0.sender.subscribe()
    }

    pub(super) fn has_receivers(&self) -> bool {
        self.0.sender.receiver_count() > 0
    }

    /// Notes a status in the place of an older one that is not published yet.
    pub(super) fn note(&self, status: OutboxStatus) {
        lock(&self.0.next).status = Some(status);
    }

    /// Publishes the status that was noted last. If somebody holds the channel, that happens when it is free.
    pub(super) fn publish(&self) {
        let channel = &self.0;
        let mut next = lock(&channel.next);
        if next.is_publishing {
            return;
        }
        let Some(status) = next.status.take() else {
            return;
        };
        if !self.has_receivers() {
            // Nobody holds the channel, and nobody is woken.
            channel.sender.send_replace(status);
            return;
        }
        next.status = Some(status);
        next.is_publishing = true;
        drop(next);
        let other = channel.clone();
        publish_by(move || other.publish());
        let next = lock(&channel.next);
        let waited = channel
            .published
            .wait_timeout_while(next, PATIENCE, |next| next.is_publishing);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Channel {
    /// Publishes until there is nothing new.
    fn publish(&self) {
        loop {
            let status = {
                let mut next = lock(&self.next);
                match next.status.take() {
                    Some(status) => status,
                    None => {
                        next.is_publishing = false;
                        return self.published.notify_all();
                    }
                }
            };
            // The wakers of the receivers are foreign code and may panic.
            call_foreign(|| drop(self.sender.send_replace(status)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::AtomicU64;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;
    use std::time::Instant;

    /// Somebody subscribes and holds the channel, after the publisher has found that nobody does. It published itself then,
    /// and waited for the holder.
    #[test]
    #[cfg_attr(
        miri,
        ignore = "its threads outlive the tests, which Miri takes for a fault"
    )]
    fn a_new_subscriber_that_holds_the_channel_stops_nobody() {
        const DEADLINE: Duration = Duration::from_secs(60);
        let publisher = Publisher::new(OutboxStatus::connected(0));
        let (rounds, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let blocked = thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Relaxed) {
                    publisher.note(OutboxStatus::connected(rounds.load(Relaxed)));
                    publisher.publish();
                    rounds.fetch_add(1, Relaxed);
                }
            });
            let blocked = (0..1000).find(|_| {
                let status = publisher.subscribe();
                let held = status.borrow();
                let (began, before) = (Instant::now(), rounds.load(Relaxed));
                while rounds.load(Relaxed) < before + 2 {
                    if began.elapsed() > DEADLINE {
                        return true;
                    }
                    thread::yield_now();
                }
                drop(held);
                false
            });
            is_over.store(true, Relaxed);
            blocked
        });
        assert_eq!(blocked, None, "the publisher waited for the holder");
    }
}
