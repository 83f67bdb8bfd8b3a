//! Linux: a nested epoll.
//!
//! The watcher's epoll holds each descriptor with `EPOLLRDHUP | EPOLLET`, to which the kernel adds
//! `EPOLLERR` and `EPOLLHUP` (epoll_ctl(2)). The epoll itself is registered with the runtime's reactor.
//!
//! Arriving data raises only `EPOLLIN`, which is not in that mask, so it never wakes the watcher
//! (`ep_poll_callback` in fs/eventpoll.c compares the two first). A FIN, a reset and an error change the state
//! of the socket, and are reported even behind unread data.
//!
//! # Edges
//!
//! `EPOLLET` reports a state once. That is enough, because the watcher then asks the kernel for the whole state. It also
//! keeps a half-closed socket, whose `EPOLLRDHUP` never ends, from waking the watcher again and again.

#![allow(unsafe_code)]

use super::contract::{BATCH, Raw, explain};
use super::nested;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tokio::io::unix::AsyncFd;

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Errors and hang-ups are reported without being asked for.
const FLAGS: EventFlags = EventFlags::RDHUP.union(EventFlags::ET);

/// The watcher's epoll.
#[derive(Debug)]
pub(in crate::watcher) struct Notifier {
    epoll: AsyncFd<OwnedFd>,
}

impl Notifier {
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|error| explain(&error.into(), "cannot create the watcher's epoll"))?;
        nested::register(epoll).map(|epoll| Self { epoll })
    }

    /// Watches a descriptor. Errors and hang-ups are reported without being asked for (`EPOLLERR`, `EPOLLHUP`, epoll_ctl(2)),
    /// and input is not: unread data does not wake the watcher. Edge-triggered, so each news is told once.
    ///
    /// A stream leaves its entry to the close of its descriptor, and the file may live on under a duplicate. If that gets the
    /// number of the closed one, the epoll has an entry for the two of them, although no stream has the descriptor
    /// (`is_watched`).
    pub(in crate::watcher) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        is_watched: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token);
        let added = match epoll::add(&self.epoll, fd, data, FLAGS) {
            // It reports events that happened before, too (`ep_modify` in fs/eventpoll.c).
            Err(Errno::EXIST) if !is_watched() => epoll::modify(&self.epoll, fd, data, FLAGS),
            added => added,
        };
        added.map_err(|error| {
            let why = match error {
                Errno::PERM => "epoll does not support its kind",
                Errno::EXIST => "another MonitoredStream of this runtime watches it already",
                Errno::NOSPC => "the limit of /proc/sys/fs/epoll/max_user_watches is reached",
                _ => "epoll refuses it",
            };
            let what = format!("cannot watch descriptor {}: {why}", fd.as_raw_fd());
            explain(&error.into(), &what)
        })
    }

    /// Watches another epoll, which is readable while one of its own entries has something to report.
    pub(in crate::watcher) fn add_epoll(
        &self,
        epoll: BorrowedFd<'_>,
        token: u64,
    ) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&self.epoll, epoll, EventData::new_u64(token), flags)
            .map_err(|error| explain(&error.into(), "cannot watch a borrowed descriptor"))
    }

    /// The caller has checked that the number names the registered file. The token is not needed: an epoll
    /// holds each open file once per number.
    pub(in crate::watcher) fn remove(&self, raw: Raw, _: u64) {
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: no memory is passed (the event is ignored since Linux 2.6.9), and the kernel accepts any
        // number. It fails only where the file was closed, and then the kernel has removed it already (epoll(7)).
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, raw, std::ptr::null_mut()) };
    }

    /// Waits until something has happened, and adds the tokens of at most [`BATCH`] descriptors. Cancel safe: it takes
    /// news from the epoll only when it is about to return.
    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        loop {
            let mut guard = self.epoll.readable().await?;
            let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; BATCH];
            let (happened, _) = match epoll::wait(&self.epoll, &mut events, Some(&NOW)) {
                Ok(happened) => happened,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            tokens.extend(happened.iter().map(|event| event.data.u64()));
            // After a full batch there may be more events, so the readiness stays. An event that arrives after a
            // partial batch is a new edge, which `clear_ready` does not clear.
            if tokens.len() < BATCH {
                guard.clear_ready();
            }
            if !tokens.is_empty() {
                return Ok(());
            }
        }
    }
}
