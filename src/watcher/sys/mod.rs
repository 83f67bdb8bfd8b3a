//! The platform code: one file for each notification mechanism, and the queries about a descriptor.
//! May use `policy`, `state` and `errors`.
//! Used by the rest of the watcher only.
//!
//! # What each system provides
//!
//! A notifier names the descriptors that may have changed. A target is one descriptor, and answers questions about it.
//! The two are independent of each other.
//!
//! `Notifier`, one per runtime:
//!
//! * `new() -> io::Result<Notifier>`: called within a runtime.
//! * `add(&self, BorrowedFd, u64, impl FnOnce() -> bool) -> io::Result<()>`: watches a descriptor under a token. It also reports
//!   events that happened before. The function says whether another stream has the descriptor; only one that does may be
//!   refused for it.
//! * `remove(&self, Raw, u64)`: called once for each descriptor that was added, with its token, while it is
//!   open. After it returns the descriptor may be closed. Not called where the close does it (`is_exclusive`).
//! * `wait(&self, &mut Vec<u64>) -> io::Result<()>`: adds the tokens of descriptors that may have something to
//!   report. Cancel safe. Called by the watcher's task alone; `add` and `remove` come from any thread meanwhile.
//!
//! `wait` may return a token without reason, and after its removal. It must return a token at least once after each
//! change that ends a direction of the connection (edge-triggered is enough).
//!
//! `Target`, `Copy`, called under the lock of its socket:
//!
//! | method | returns or does |
//! |---|---|
//! | `new(BorrowedFd, Known) -> io::Result<Target>` | determines the kind, where it is not known; refuses, with an explanation, what never reports the end of a peer |
//! | `examine() -> Observation` | the state of the descriptor, and its backlog where that costs nothing more; the only call, beside `unexplained_end`, that may consume `SO_ERROR`, which it returns |
//! | `unexplained_end() -> Observation` | the error behind an end of file or a broken pipe, if another call was given it |
//! | `broken_pipe() -> Event` | the meaning of `EPIPE` from a write |
//! | `drained(u64) -> u64`, `backlog(bool) -> Option<Backlog>` | how much the peer has taken, if the system reports it |
//! | `reading(u64) -> Reading` | the same for a stall policy |
//! | `tells_acknowledged() -> bool` | whether `backlog` returns a number, now or later |
//! | `owed() -> Option<u64>` | how much the system holds for the peer |
//! | `tells_owed_bytes() -> bool` | whether `owed` counts bytes |
//! | `delivers() -> bool` | whether the system goes on delivering what it holds, after the stream has closed |
//! | `has_unread() -> bool` | whether the system holds input for us |
//! | `bound_orphan(Duration)` | limits how long the system keeps data after the close |
//! | `shut_down()` | shuts both directions down |
//! | `reset()` | resets the connection, now or when it is closed |
//! | `reset_wakes() -> bool` | whether `reset` wakes waiting reads |
//! | `raw() -> Raw` | the number of the descriptor that the notifier holds |
//! | `is_same() -> bool` | whether the number still names the registered file |
//! | `is_exclusive() -> bool` | whether only the stream can close the descriptor, and the close removes it from the notifier |
//! | `share()` | called before other code can close it or exchange its file |
//! | `can_vanish() -> bool` | whether timers make sense for this kind |
//!
//! Linux alone has `Target::borrowed` and `Notifier::add_epoll`, for descriptors that another library owns
//! (`linux/borrowed.rs`).
//!
//! # To add a system
//!
//! 1. A file with its `Notifier`, and an arm for it below. Systems without one use the tick.
//! 2. In the same arm: the portable `Target` with a file that examines a socket (`portable/poll.rs` serves where poll(2)
//!    says enough), or a `Target` of its own, as Linux has.
//! 3. A row in `docs/platforms.md` that says what was run and what was only compiled.
//!
//! `tests/core/matrix.rs` is the acceptance test: it has each way of leaving, for each kind of stream. A way that the
//! system cannot detect is a row of `tests/data/platforms.tsv`.

mod contract;

// A system is chosen here, once: what notifies, and what examines a descriptor.
cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        mod epoll;
        mod linux;
        mod nested;
        pub(super) use epoll::Notifier;
        pub(crate) use linux::Known;
        pub(super) use linux::Target;
    } else if #[cfg(all(
        any(
            target_vendor = "apple",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
        ),
        target_pointer_width = "64", // a token is a kevent's `udata`, a pointer
        not(hangup_fallback)
    ))] {
        #[path = "portable/bsd.rs"]
        mod examine;
        mod kqueue;
        mod nested;
        mod portable;
        pub(super) use kqueue::Notifier;
        pub(crate) use portable::Known;
        pub(super) use portable::Target;
    } else if #[cfg(all(windows, not(hangup_fallback)))] {
        mod afd;
        #[path = "portable/windows.rs"]
        mod examine;
        mod portable;
        mod tick;
        mod windows;
        pub(crate) use portable::Known;
        pub(super) use portable::Target;
        pub(super) use windows::Notifier;
    } else {
        #[cfg_attr(windows, path = "portable/windows.rs")]
        #[cfg_attr(not(windows), path = "portable/poll.rs")]
        mod examine;
        mod portable;
        mod tick;
        pub(crate) use portable::Known;
        pub(super) use portable::Target;
        pub(super) use tick::Notifier;
    }
}

pub(super) use contract::{BATCH, Backlog, Observation, Raw};
