//! The queue of an outbox: which messages are held, which are written, which are acknowledged.
//! It uses nothing but std: no I/O, no clock, no runtime.
//! The engine uses it.

pub(crate) mod ack_marks;
pub(crate) mod buffer;
