//! A store in a file: the database, and all that keeps it intact.
//! May use the trait and the types of `store/`.
//! The engine of the outbox and the program `hangup-store` use it.
//!
//! ```text
//!  disk_store     the trait's calls, errors, and what happens after a failure
//!      log        messages that are not in the tables yet
//!      tables     redb: messages, dead letters, counts
//!  store_file     barriers, held-back changes, and rewrites after a failed fsync
//!     backend     a locked file, or the user's StorageBackend
//! ```
//!
//! `opening` checks, converts and salvages files; `frame` is the format of a message; `header` is the first page.

mod backend;
mod batch;
mod change;
mod counts;
mod disk_store;
mod error;
mod file;
mod frame;
mod fsync;
mod header;
mod held_back;
mod info;
mod intact;
mod legacy;
mod log;
mod open;
mod opened;
mod opening;
mod options;
mod redb_error;
mod region;
mod salvage;
mod scan;
mod store_file;
mod tables;

pub use backend::StorageBackend;
pub use disk_store::DiskStore;
pub use error::{StoreError, StoreProblem};
pub use fsync::Fsync;
pub use info::StoreInfo;
pub use options::StoreOptions;
pub use salvage::Salvage;
