//! A notifier's descriptor, registered with the runtime's own reactor.

#![allow(unsafe_code)]

use super::contract::explain;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `notifier` with the reactor of the present runtime.
pub(super) fn register(notifier: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // tokio has no other way to say that a runtime was built without I/O than to panic.
    let registered = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: an `OwnedFd` is open and keeps its number for as long as it lives, and the
        // `AsyncFd`, which never gives it away, owns it.
        unsafe { AsyncFd::register_with_interest(notifier, Interest::READABLE) }
    }));
    match registered {
        Ok(Ok(notifier)) => Ok(notifier),
        Ok(Err(error)) => Err(explain(&error.into(), "cannot register the watcher")),
        Err(_) => Err(io::Error::new(
            ErrorKind::Unsupported,
            "hangup: this runtime has no I/O driver to watch with: build it with `enable_io()` or \
             `enable_all()`",
        )),
    }
}
