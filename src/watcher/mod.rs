//! The watcher: the one object per runtime that watches all sockets for hang-up.
//!
//! Nothing here reads, writes or waits for a single socket. One task per runtime waits for the
//! platform's notifier, which names the sockets that have something to tell, and each of those is then
//! asked what it is.
//!
//! # Invariants
//!
//! 3. A handle never keeps the socket open: a [`Socket`] knows its descriptor by number only, and the
//!    number is taken from it, under its lock, before the stream closes the descriptor. So no call is
//!    ever made on a number that has come to mean another file.
//! 4. The watcher never reads, writes or consumes. [`Socket::examine`] is the one place that reads
//!    `SO_ERROR`; what it reads it stores, and the stream's next read that would have told it does.

mod ack;
mod registry;
mod socket;
mod sys;
mod watchable;

pub(crate) use registry::Registration;
pub(crate) use socket::Socket;
pub use watchable::{ByDescriptor, Watchable};
