//! How the operating system reports a disconnect: one watcher per runtime, which watches all of its sockets.
//! May use `policy`, `state` and `errors`.
//! Used by the monitors and the stream.
//!
//! One task per runtime waits for the notifier of the system. The notifier names the sockets that may have changed,
//! and the watcher then asks the kernel about each of them. Nothing here reads from a socket or writes to it.
//!
//! ```text
//!  kernel ─▶ Notifier::wait ─▶ token ─▶ registry ─▶ Socket::examine ─▶ Event ─▶ SharedState
//!            (epoll, kqueue,                         (SO_ERROR, tcp_info,
//!             AFD, tick)                              poll, ioctl)
//! ```
//!
//! # What each platform uses
//!
//! | | notifier | cost while idle | detects behind unread data |
//! |---|---|---|---|
//! | Linux, Android | a nested epoll with `EPOLLRDHUP \| EPOLLET` | none | yes |
//! | macOS, BSDs | a nested kqueue, `EVFILT_READ` with a high `NOTE_LOWAT` | none | yes |
//! | Windows | one pending poll of `\Device\Afd` for each socket | a thread per runtime | yes; under Wine no |
//! | the rest, and sandboxes | a poll of all sockets every 50 ms | proportional to the sockets | reset only |
//!
//! `docs/platforms.md` says which of them were run and which were only compiled.
//!
//! # Why a second epoll
//!
//! tokio's reactor registers a socket once, with `EPOLLIN` among other events, and wakes the task that reads. A second
//! interest in the same socket would wake for every packet. A descriptor can be in several epolls, so the watcher has
//! its own, without `EPOLLIN`, and registers that one epoll with the reactor. Data then never wakes the watcher.
//!
//! # Invariants
//!
//! (The numbers are those of the list in `docs/architecture.md`.)
//!
//! 3. A handle never keeps the socket open. A [`Socket`] knows only the number of its descriptor. It gives up the
//!    number, under its lock, before the stream closes the descriptor. So no call is made on a number that now
//!    names another file.
//! 4. The watcher never reads data, writes data or consumes it. [`Socket::examine`] is the only place that reads
//!    `SO_ERROR`. It stores the error for the next read of the stream, which would otherwise have returned it.
//!
//! # Locks
//!
//! A socket's lock comes before the lock of its state. No waker runs under either.

mod ack;
mod borrowed;
mod descriptor;
mod registry;
mod socket;
mod sys;
mod watchable;

pub(crate) use borrowed::BorrowedRegistration;
pub(crate) use registry::Registration;
pub(crate) use socket::Socket;
pub(crate) use sys::Known;
pub use watchable::{ByDescriptor, Watchable};
