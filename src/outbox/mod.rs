//! A sender whose messages survive the loss of their connection.

mod backoff;
mod buffer;
mod builder;
mod confirm;
mod connection;
mod driver;
mod failure;
mod house;
mod keeper;
mod marks;
mod message;
mod receipt;
mod sender;
mod session;
mod shared;
mod shutdown;
mod sink;
mod status;
mod store;

pub use backoff::{Backoff, Delays, InvalidBackoff};
pub use builder::Builder;
pub use confirm::{ByPeer, Confirm, Processed};
pub use connection::Connection;
pub use failure::{GaveUp, NotKept, Reason, Refusal, SendError, Undelivered};
pub use message::{Importance, Message};
pub use receipt::{Delivered, Receipt};
pub use sender::Outbox;
pub use shutdown::Shutdown;
pub use sink::OutboxSink;
pub use status::{Link, OutboxStatus};
#[cfg(feature = "durable")]
pub use store::{DiskStore, Fsync, Salvage, StoreError, StoreProblem};
pub use store::{Record, Store};
