//! The machinery of an outbox: its task, its connections, and what handles, receipts and the task share.
//! It uses the queue, the store, and the plain types beside it.
//! The public handles use it: the builder, the sender, the sink and the receipt.

mod backlog;
mod core;
mod dequeue;
mod driver;
mod enqueue;
mod housekeeping;
mod load;
pub(crate) mod on_unsendable;
mod ranking;
mod report;
mod session;
pub(crate) mod settings;
pub(crate) mod shared;
mod start;
mod store_jobs;
mod store_writer;

pub(crate) use start::start;
