//! Windows and the rest: every socket is asked once in a tick.
//!
//! No notifier of these systems is known to us to tell a hang-up apart from data, so the watcher looks:
//! a plain thread per runtime ticks every [`TICK`] while there is something to watch, and the watcher's
//! task asks all sockets with one `poll`. A hang-up is heard of within a tick, and each tick costs time
//! in proportion to the number of sockets. Reads and writes still tell at once what they find.
//!
//! A FIN shows by a peek of the input, which reads nothing: behind unread data it does not show, but
//! where the system's `poll` tells it (`POLLHUP` on Windows). After a local shutdown of the receiving
//! side the peek finds an end too.
//!
//! The file is type-checked for Windows; its logic is run by the tests on Linux, with
//! `--cfg hangup_fallback`.

#![allow(unsafe_code)]

use super::contract::Raw;
use super::query::poll_fd;
use crate::state::sync::lock;
use rustix::event::{Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a hang-up may go unheard of: short against a person's patience, long against the cost of a
/// look at each socket (about a microsecond on Linux).
const TICK: Duration = Duration::from_millis(50);

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// The watcher's list of sockets, and its ticker.
#[derive(Debug)]
pub(in crate::watcher) struct Notifier {
    shared: Arc<Shared>,
    ticker: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    sockets: Mutex<HashMap<u64, Raw>>,
    tick: Notify,
}

impl Notifier {
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::downgrade(&shared);
        let ticker = thread::Builder::new()
            .name("hangup-ticker".into())
            .spawn(move || tick(&watched))?;
        Ok(Self {
            shared,
            ticker: ticker.thread().clone(),
        })
    }

    pub(in crate::watcher) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let raw = fd.as_raw_fd();
        lock(&self.shared.sockets).insert(token, raw);
        self.ticker.unpark();
        Ok(())
    }

    pub(in crate::watcher) fn remove(&self, _: Raw, token: u64) {
        lock(&self.shared.sockets).remove(&token);
    }

    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        loop {
            self.shared.tick.notified().await;
            // Under the lock, so that no socket is closed while it is polled.
            let sockets = lock(&self.shared.sockets);
            let mut polled: Vec<_> = sockets.values().map(|raw| poll_fd(*raw)).collect();
            if polled.is_empty() {
                continue;
            }
            poll(&mut polled, Some(&NOW))?;
            let happened = sockets.keys().zip(&polled);
            tokens.extend(
                happened
                    .filter(|(_, fd)| !fd.revents().is_empty())
                    .map(|(token, _)| *token),
            );
            if !tokens.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // The ticker finds nothing to tick for, and ends.
        self.shared = Arc::default();
        self.ticker.unpark();
    }
}

fn tick(watched: &Weak<Shared>) {
    while let Some(shared) = watched.upgrade() {
        let idle = lock(&shared.sockets).is_empty();
        shared.tick.notify_one();
        drop(shared);
        match idle {
            true => thread::park(),
            false => thread::park_timeout(TICK),
        }
    }
}
