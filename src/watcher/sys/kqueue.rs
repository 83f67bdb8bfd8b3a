//! macOS and the BSDs: a nested kqueue.
//!
//! The watcher's kqueue holds each socket with `EVFILT_READ`, `EV_CLEAR` and a `NOTE_LOWAT` that no
//! receive buffer reaches: arriving data does not fire it, and `EV_EOF` does (kqueue(2)). The kqueue itself
//! is registered with the runtime's reactor. Where a system caps the low-water mark at the size of the buffer
//! (macOS), a full buffer wakes the watcher once, and it finds no `EV_EOF`.
//!
//! This file is type-checked for these systems and has not been run on any of them.
//!
//! A local shutdown of the receiving side looks like the peer's FIN here, and a reset after a FIN looks like
//! any other reset. Linux tells both apart.

#![allow(unsafe_code)]

use super::contract::{BATCH, Raw, explain};
use super::nested;
use crate::state::sync::lock;
use rustix::event::kqueue::kqueue;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Mutex;
use tokio::io::unix::AsyncFd;

/// The watcher's kqueue.
#[derive(Debug)]
pub(in crate::watcher) struct Notifier {
    kqueue: AsyncFd<OwnedFd>,
    /// The token of each number. A kqueue holds a number once, and a second `EV_ADD` replaces the first.
    tokens: Mutex<HashMap<Raw, u64>>,
}

impl Notifier {
    /// A kqueue in tokio's. It holds no descriptor yet.
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        let kqueue = kqueue()
            .map_err(|error| explain(&error.into(), "cannot create the watcher's kqueue"))?;
        Ok(Self {
            kqueue: nested::register(kqueue)?,
            tokens: Mutex::default(),
        })
    }

    /// Watches a descriptor. `EV_CLEAR` makes it edge-triggered (kqueue(2)).
    pub(in crate::watcher) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        _: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let raw = fd.as_raw_fd();
        let mut tokens = lock(&self.tokens);
        // If safe code closed the descriptor of another stream, the kernel has removed it, and the number may be reused.
        if let Some(before) = tokens.get(&raw)
            && self.change(raw, libc::EV_ENABLE as _, *before).is_ok()
        {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "hangup: cannot watch descriptor {raw}: another MonitoredStream of this runtime watches \
                     it already"
                ),
            ));
        }
        self.change(raw, (libc::EV_ADD | libc::EV_CLEAR) as _, token)
            .map_err(|error| {
                let why = match error.raw_os_error() {
                    Some(libc::EBADF) => "it is closed",
                    _ => "kqueue refuses it",
                };
                explain(&error, &format!("cannot watch descriptor {raw}: {why}"))
            })?;
        tokens.insert(raw, token);
        Ok(())
    }

    /// Ends the watch of a number, if it still belongs to the token.
    pub(in crate::watcher) fn remove(&self, raw: Raw, token: u64) {
        let mut tokens = lock(&self.tokens);
        // The number may belong to another stream now.
        if tokens.get(&raw) != Some(&token) {
            return;
        }
        tokens.remove(&raw);
        // It fails only if the descriptor was closed behind the stream's back, and then the kernel has removed
        // it already.
        let _ = self.change(raw, libc::EV_DELETE as _, token);
    }

    fn change(&self, raw: Raw, flags: u32, token: u64) -> io::Result<()> {
        let change = change(raw, libc::EVFILT_READ as _, flags, token);
        kevent(self.kqueue.as_raw_fd(), &[change], &mut []).map(|_| ())
    }

    /// Waits until something has happened, and adds the tokens of at most [`BATCH`] descriptors. Cancel safe: it takes
    /// news from the kqueue only when it is about to return.
    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        loop {
            let mut guard = self.kqueue.readable().await?;
            let mut events = [const { MaybeUninit::uninit() }; BATCH];
            let happened = kevent(self.kqueue.as_raw_fd(), &[], &mut events)?;
            tokens.extend(happened.iter().map(|event| event.udata as u64));
            // After a full batch there may be more events, so the readiness stays.
            if tokens.len() < BATCH {
                guard.clear_ready();
            }
            if !tokens.is_empty() {
                return Ok(());
            }
        }
    }
}

/// One change of a kqueue's list. The types of the fields differ from system to system.
pub(super) fn change(raw: Raw, filter: i64, flags: u32, token: u64) -> libc::kevent {
    // SAFETY: a structure of integers and of a pointer that is not followed: all zeros are a value.
    let mut change: libc::kevent = unsafe { zeroed() };
    change.ident = raw as _;
    change.filter = filter as _;
    change.flags = flags as _;
    if filter == libc::EVFILT_READ as i64 {
        change.fflags = libc::NOTE_LOWAT as _;
        change.data = i32::MAX as _;
    }
    change.udata = token as _;
    change
}

/// kevent(2) without waiting: applies the changes, and returns the events.
pub(super) fn kevent<'a>(
    kqueue: RawFd,
    changes: &[libc::kevent],
    events: &'a mut [MaybeUninit<libc::kevent>],
) -> io::Result<&'a [libc::kevent]> {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        // SAFETY: the pointers are to slices of the lengths that go with them, and to a live timespec.
        let happened = unsafe {
            libc::kevent(
                kqueue,
                changes.as_ptr(),
                changes.len() as _,
                events.as_mut_ptr().cast(),
                events.len() as _,
                ptr::from_ref(&now),
            )
        };
        let Ok(happened) = usize::try_from(happened) else {
            match io::Error::last_os_error() {
                error if error.kind() == ErrorKind::Interrupted => continue,
                error => return Err(error),
            }
        };
        // SAFETY: the kernel has filled in the first `happened` events, and no more than there are.
        return Ok(unsafe { std::slice::from_raw_parts(events.as_ptr().cast(), happened) });
    }
}
