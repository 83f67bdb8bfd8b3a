//! The queue of an outbox: which messages are held, which are written, which are acknowledged, who waits for room.
//! It uses nothing but std: no I/O, no clock, no runtime.
//! The engine uses it.

pub(crate) mod ack_marks;
pub(crate) mod block;
pub(crate) mod buffer;
mod confirm;
mod order;
mod ordered;
pub(crate) mod wait_queue;
