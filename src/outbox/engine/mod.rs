//! The engine of an outbox: its task, its connections, and the state that handles, receipts and the task share.
//! It may use the queue, the store, and the plain types beside it.
//! The public handles use it: the builder, the sender, the sink and the receipt.
//!
//! # Who runs what
//!
//! ```text
//!  Outbox, OutboxSink ──▶ enqueue ───┐                        ┌─▶ dequeue ──▶ session ──▶ stream
//!  Receipt ───────────▶ receipts ────┤  Core, behind one lock ├─▶ housekeeping (timers, status)
//!  Outbox::shutdown ──▶ lifecycle ───┘                        └─▶ store_jobs ──▶ store_writer ──▶ Store
//! ```
//!
//! * `driver` is the task. It connects, runs one `session` for each connection, and waits between them.
//! * `housekeeping` is polled by the task in each of these states, so timers never depend on a connection.
//! * `store_writer` is the only caller of the store. It runs on a thread, or on the task.
//!
//! # Locks
//!
//! There are four, and this is the order in which they may be taken:
//!
//! 1. the user's `on_unsendable` handler (it may call the outbox);
//! 2. the last reported values (`report`);
//! 3. the core (`shared`);
//! 4. the status that is to be published (`publisher`).
//!
//! The channel of the status has a lock too, and whoever holds a `Ref` of it may call the outbox. So none of the others is held
//! while the status is published.
//!
//! Most of the user's code (encoders, decoders, wakers, destructors of messages, handlers) runs without the core's
//! lock, because it may call the outbox. [`deferred::Deferred`] collects wakers and messages until the lock is released.
//! Only `Clone` of a message runs under it, and must not call the outbox.

mod accept;
mod accept_times;
mod backlog;
mod core;
mod deferred;
mod dequeue;
mod driver;
pub(crate) mod encode;
pub(crate) mod enqueue;
mod housekeeping;
mod lifecycle;
mod load;
mod offer;
pub(crate) mod on_unsendable;
mod phase;
mod publisher;
mod ranking;
mod receipts;
mod report;
mod session;
pub(crate) mod settings;
mod settle;
pub(crate) mod shared;
mod start;
mod store_jobs;
mod store_writer;
mod stored;

pub(crate) use start::start;
