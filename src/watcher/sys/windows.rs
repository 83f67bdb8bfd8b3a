//! Windows: the socket driver, or the tick where the driver cannot be opened.
//!
//! A sandbox may refuse `\Device\Afd`. Then each runtime of the process polls its sockets every 50 ms instead.
//! The name of the thread shows which one a runtime uses, in a debugger or a process viewer: `hangup-afd` or
//! `hangup-ticker`. With the feature `tracing` the second one is a warning.

use super::contract::Raw;
use super::{afd, tick};
use rustix::fd::BorrowedFd;
use std::io;

#[derive(Debug)]
pub(in crate::watcher) enum Notifier {
    Afd(afd::Notifier),
    Tick(tick::Notifier),
}

impl Notifier {
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        match afd::Notifier::new() {
            Ok(notifier) => Ok(Self::Afd(notifier)),
            Err(error) => {
                #[cfg(feature = "tracing")]
                crate::observe::call_foreign(|| crate::observe::tracing::polls_instead(&error));
                // Said by the name of the thread alone.
                #[cfg(not(feature = "tracing"))]
                drop(error);
                tick::Notifier::new().map(Self::Tick)
            }
        }
    }

    pub(in crate::watcher) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        match self {
            Self::Afd(notifier) => notifier.add(fd, token),
            Self::Tick(notifier) => notifier.add(fd, token),
        }
    }

    pub(in crate::watcher) fn remove(&self, raw: Raw, token: u64) {
        match self {
            Self::Afd(notifier) => notifier.remove(raw, token),
            Self::Tick(notifier) => notifier.remove(raw, token),
        }
    }

    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        match self {
            Self::Afd(notifier) => notifier.wait(tokens).await,
            Self::Tick(notifier) => notifier.wait(tokens).await,
        }
    }
}
