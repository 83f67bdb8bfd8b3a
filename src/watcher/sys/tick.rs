//! Windows and the rest: a fallback that polls every socket every 50 ms.
//!
//! One thread per runtime ticks while there is something to watch, and the watcher's task polls all sockets with one
//! `poll` call. A disconnect is detected within a tick, and each tick costs time in proportion to the number of
//! sockets. Reads and writes still report immediately what they find.
//!
//! A FIN is detected by a peek of the input. Behind unread data the peek finds the data instead, except where
//! `poll` itself reports the FIN (`POLLHUP` on Windows). After a local shutdown of the receiving side the peek
//! finds EOF too.
//!
//! The file is type-checked for Windows. The tests run its logic on Linux, with `--cfg hangup_fallback`.

#![allow(unsafe_code)]

use super::contract::Raw;
use super::examine::poll_fd;
use crate::state::sync::lock;
use rustix::event::{Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest time until a disconnect is detected. Polling one socket takes about a microsecond on Linux.
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
    /// Starts the thread that ticks. It sleeps while nothing is watched.
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

    pub(in crate::watcher) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        _: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let raw = fd.as_raw_fd();
        lock(&self.shared.sockets).insert(token, raw);
        self.ticker.unpark();
        Ok(())
    }

    pub(in crate::watcher) fn remove(&self, _: Raw, token: u64) {
        lock(&self.shared.sockets).remove(&token);
    }

    /// Polls all descriptors at each tick, and adds the tokens of those that report something. The cost of a tick grows with
    /// the number of descriptors.
    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        loop {
            self.shared.tick.notified().await;
            // Under the lock, so that no socket is closed while it is polled.
            let sockets = lock(&self.shared.sockets);
            let mut polled: Vec<_> = sockets.values().map(|raw| poll_fd(*raw)).collect();
            if polled.is_empty() {
                continue;
            }
            match poll(&mut polled, Some(&NOW)) {
                // A signal interrupts a poll that finds nothing, even one that does not wait. The next tick polls again.
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
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
        // The ticker finds no watcher, and ends.
        self.shared = Arc::default();
        self.ticker.unpark();
    }
}

/// The ticking thread. It ends when the notifier is gone.
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

// seccompiler makes filters for these processors.
#[cfg(all(
    test,
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
mod tests {
    use super::*;
    use futures::FutureExt;
    use rustix::fd::AsFd;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    use std::os::unix::net::UnixStream;

    /// A program handles a signal, and the thread that runs the watcher gets it while it polls. The poll failed, and with it
    /// the watcher ended: all streams of the runtime closed as `RuntimeShutdown`.
    #[test]
    fn a_signal_does_not_end_the_watcher() {
        let filter = SeccompFilter::new(
            [(libc::SYS_ppoll, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EINTR as u32),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let filter: BpfProgram = filter.unwrap().try_into().unwrap();
        let notifier = Notifier::new().unwrap();
        let (ours, peer) = UnixStream::pair().unwrap();
        notifier.add(ours.as_fd(), 7, || false).unwrap();
        drop(peer);
        let waits = || {
            notifier.shared.tick.notify_one();
            let mut tokens = Vec::new();
            let waited = notifier.wait(&mut tokens).now_or_never();
            waited.map(|waited| waited.map(|()| tokens))
        };
        thread::scope(|threads| {
            // The filter is for one thread.
            let interrupted = threads.spawn(|| {
                apply_filter(&filter).unwrap();
                waits()
            });
            assert!(interrupted.join().unwrap().is_none());
        });
        assert_eq!(waits().unwrap().unwrap(), [7]);
    }
}
