//! Stores of a durable outbox: the trait of all stores, and a store in a file.
//! They may use nothing of the outbox.
//! The engine of the outbox and the program `hangup-store` use them.
//!
//! ```text
//!  DiskStore      the trait's calls, errors, and what happens after a failure
//!     tables      redb: messages, dead letters, counts
//!  store_file     barriers, held-back changes, and rewrites after a failed fsync
//!   backend       a locked file, or the user's StorageBackend
//! ```
//!
//! `opening` checks, converts and salvages files; `frame` is the format of a message; `header` is the first page.

#[cfg(feature = "durable")]
mod backend;
#[cfg(feature = "durable")]
mod batch;
#[cfg(feature = "durable")]
mod change;
mod contract;
#[cfg(feature = "durable")]
mod counts;
mod dead_letter;
#[cfg(feature = "durable")]
mod disk;
#[cfg(feature = "durable")]
mod error;
#[cfg(feature = "durable")]
mod file;
#[cfg(feature = "durable")]
mod frame;
#[cfg(feature = "durable")]
mod fsync;
#[cfg(feature = "durable")]
mod header;
#[cfg(feature = "durable")]
mod held_back;
#[cfg(feature = "durable")]
mod info;
#[cfg(feature = "durable")]
mod intact;
#[cfg(feature = "durable")]
mod legacy;
#[cfg(feature = "durable")]
mod open;
#[cfg(feature = "durable")]
mod opened;
#[cfg(feature = "durable")]
mod opening;
#[cfg(feature = "durable")]
mod options;
mod record;
#[cfg(feature = "durable")]
mod redb_error;
#[cfg(feature = "durable")]
mod region;
#[cfg(feature = "durable")]
mod salvage;
#[cfg(feature = "durable")]
mod scan;
#[cfg(feature = "durable")]
mod store_file;
#[cfg(feature = "durable")]
mod tables;

#[cfg(feature = "durable")]
pub use backend::StorageBackend;
pub use contract::Store;
pub use dead_letter::DeadLetter;
#[cfg(feature = "durable")]
pub use disk::DiskStore;
#[cfg(feature = "durable")]
pub use error::{StoreError, StoreProblem};
#[cfg(feature = "durable")]
pub use fsync::Fsync;
#[cfg(feature = "durable")]
pub use info::StoreInfo;
#[cfg(feature = "durable")]
pub use options::StoreOptions;
pub use record::Record;
#[cfg(feature = "durable")]
pub use salvage::Salvage;
