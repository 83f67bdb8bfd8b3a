//! The questions to one descriptor. On Linux there is a file for each kind of descriptor.
//!
//! # To add a kind of descriptor on Linux
//!
//! 1. A variant of `Kind` in `kind.rs`, and the code that recognizes it in `Target::new` or `socket_kind` of `linux.rs`. It
//!    must refuse whatever never reports the end of a peer.
//! 2. The compiler then names each `match` of `linux.rs` and `borrowed.rs` that has to decide about the kind: how it is
//!    examined, what a broken pipe means, what its peer has taken, how it is reset.
//! 3. A file with the answers that take more than a line. The system calls that kinds share are in `descriptor.rs`, the
//!    only file here with `unsafe` code.
//! 4. A column in the table of kinds in `docs/architecture.md`, and the cases of `tests/core/kinds.rs` for it.
//!
//! Other systems have one `Target` for all kinds (`portable.rs`). It finds out with getsockname(2) whether a socket is a
//! Unix socket.

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        mod borrowed;
        mod descriptor;
        mod kind;
        mod known;
        mod linux;
        mod mptcp;
        mod pipe;
        mod socket;
        mod tcp;
        mod unix;
        pub(crate) use known::Known;
        pub(in crate::watcher) use linux::Target;
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
        #[path = "bsd.rs"]
        mod examine;
        mod ended;
        #[path = "nothing_known.rs"]
        mod known;
        mod portable;
        pub(crate) use known::Known;
        pub(in crate::watcher) use portable::Target;
    } else if #[cfg(windows)] {
        #[path = "windows.rs"]
        mod examine;
        mod ended;
        #[path = "nothing_known.rs"]
        mod known;
        mod portable;
        pub(crate) use known::Known;
        pub(in crate::watcher) use examine::poll_fd;
        pub(in crate::watcher) use portable::Target;
    } else {
        #[path = "poll.rs"]
        mod examine;
        mod ended;
        #[path = "nothing_known.rs"]
        mod known;
        mod portable;
        pub(crate) use known::Known;
        pub(in crate::watcher) use examine::poll_fd;
        pub(in crate::watcher) use portable::Target;
    }
}
