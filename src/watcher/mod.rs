//! How the system reports a disconnect: one watcher per runtime, which watches all of its sockets.
//!
//! May use `policy`, `state` and `errors`.
//!
//! Used by the monitors and the stream.
//!
//! One task per runtime waits for the notifier of the system. It names the sockets that may have something to
//! report, and the kernel is then asked about each of them. Nothing here reads or writes a socket.
//!
//! # Invariants
//!
//! 3. A handle never keeps the socket open: a [`Socket`] knows only the number of its descriptor. It
//!    gives the number up, under its lock, before the stream closes the descriptor. So no call is made on a
//!    number that has come to name another file.
//! 4. The watcher never reads, writes or consumes. [`Socket::examine`] is the one place that reads
//!    `SO_ERROR`. It stores the error, and the next read of the stream that would have returned it does.

mod ack;
mod registry;
mod socket;
mod sys;
mod watchable;

pub(crate) use registry::Registration;
pub(crate) use socket::Socket;
pub use watchable::{ByDescriptor, Watchable};
