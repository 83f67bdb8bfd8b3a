//! Stores of a durable outbox: the trait of all stores, and in `disk/` a store in a file.
//! They may use nothing of the outbox.
//! The engine of the outbox and the program `hangup-store` use them.

mod contract;
mod dead_letter;
#[cfg(feature = "durable")]
mod disk;
mod record;

pub use contract::Store;
pub use dead_letter::DeadLetter;
#[cfg(feature = "durable")]
pub use disk::{
    DiskStore, Fsync, Salvage, StorageBackend, StoreError, StoreInfo, StoreOptions, StoreProblem,
};
pub use record::Record;
