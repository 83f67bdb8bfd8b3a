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
const PATIENCE: Duration = Duration::from_millis(100);

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
        if next.status.is_none() || next.is_publishing {
            return;
        }
        next.is_publishing = true;
        drop(next);
        if !self.has_receivers() {
            return channel.publish();
        }
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
