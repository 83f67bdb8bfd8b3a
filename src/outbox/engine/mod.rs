//! The machinery of an outbox: its task, its connections, and what handles, receipts and the task share.
//! It uses the queue, the store, and the plain types beside it.
//! The public handles use it: the builder, the sender, the sink and the receipt.

pub(crate) mod dequeue;
pub(crate) mod driver;
pub(crate) mod enqueue;
pub(crate) mod housekeeping;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod store_writer;
