//! The queue of an outbox: which messages are held, written and acknowledged, and which senders wait for room.
//! It uses nothing but std: no I/O, no clock, no runtime. Times are numbers that the engine passes in.
//! The engine uses it.
//!
//! So every state of the queue can be reached by plain calls, which the property tests and fuzzers do.

pub(crate) mod ack_marks;
pub(crate) mod block;
pub(crate) mod buffer;
mod order;
pub(crate) mod wait_queue;
