//! Windows and the rest: every socket is asked once in a tick.
//!
//! No selector of these systems is known to us to tell a hang-up apart from data, so the watcher looks:
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

#[path = "untold.rs"]
mod untold;

pub(super) use untold::{RESET_WAKES, backlog, broken_pipe, drained, lend, reset};

use super::{Event, Raw, Sight, ended_without_error};
use crate::CloseReason;
use crate::sync::lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, recv};
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
pub(super) struct Selector {
    shared: Arc<Shared>,
    ticker: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    sockets: Mutex<HashMap<u64, Raw>>,
    tick: Notify,
}

impl Selector {
    pub(super) fn new() -> io::Result<Self> {
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

    pub(super) fn add(&self, raw: Raw, token: u64) -> io::Result<()> {
        // Refuses what cannot be watched, as the other watchers do.
        // SAFETY: `raw` is not the invalid number (`raw()` checked it); used for this one call, which
        // gives an error for a number that is no open socket's.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        rustix::net::getsockname(fd).map_err(|error| {
            super::explain(
                &error.into(),
                &format!("cannot watch descriptor {raw}: it is closed, or not a socket"),
            )
        })?;
        lock(&self.shared.sockets).insert(token, raw);
        self.ticker.unpark();
        Ok(())
    }

    pub(super) fn remove(&self, raw: Raw) {
        lock(&self.shared.sockets).retain(|_, watched| *watched != raw);
    }

    pub(super) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
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

impl Drop for Selector {
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

fn poll_fd<'a>(raw: Raw) -> PollFd<'a> {
    // SAFETY: the number is an open stream's: `remove` is called before it is closed, and both callers
    // hold a lock that `remove`, or its caller, takes.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    PollFd::from_borrowed_fd(fd, PollFlags::RDNORM)
}

/// Asks the system about one socket.
pub(super) fn examine(raw: Raw) -> Sight {
    let mut polled = [poll_fd(raw)];
    if !matches!(poll(&mut polled, Some(&NOW)), Ok(1..)) {
        return Sight::default();
    }
    let flags = polled[0].revents();
    // SAFETY: the caller holds the socket's lock, under which the number is the open stream's.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    if flags.contains(PollFlags::ERR) {
        if let Ok(Err(error)) = socket_error(fd) {
            return failed(error);
        }
    }
    if flags.contains(PollFlags::HUP) {
        // Windows tells a FIN so, the others the end of both directions.
        return match cfg!(windows) {
            true => Event::Fin.into(),
            false => ended_without_error(fd).into(),
        };
    }
    if flags.contains(PollFlags::RDNORM) {
        match recv(fd, &mut [0_u8; 1], RecvFlags::PEEK) {
            Ok((_, 0)) => return Event::Fin.into(),
            Err(error) if error != Errno::WOULDBLOCK && error != Errno::INTR => {
                return failed(error);
            }
            _ => {}
        }
    }
    Sight::default()
}

/// The socket's error, which the system has told and will not tell again.
fn failed(error: Errno) -> Sight {
    let error = io::Error::from(error);
    let event = match error.kind() {
        io::ErrorKind::ConnectionReset => Event::Reset { after_fin: false },
        // As on Linux.
        io::ErrorKind::BrokenPipe => Event::Reset { after_fin: true },
        _ => Event::Failed(CloseReason::from(&error)),
    };
    Sight {
        event: Some(event),
        error: error.raw_os_error(),
    }
}
