//! Systems other than Linux: what is asked of one descriptor, of any kind.
//! May use `policy`, `state` and `errors`.
//! Used by the rest of the watcher only.
//!
//! There is one `Target` for all kinds. It finds out with getsockname(2) whether a socket is a Unix socket. How a socket is
//! examined depends on the system: `bsd.rs`, `windows.rs` or `poll.rs`. `sys/mod.rs` chooses one of them, together with the
//! notifier.

pub(super) mod ended;
mod known;
mod target;

pub(crate) use known::Known;
pub(in crate::watcher) use target::Target;
