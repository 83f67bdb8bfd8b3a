//! The outbox and its stores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledged;
mod directory;
mod durable;
mod durable_file;
mod durable_format;
mod durable_kill;
mod durable_outbox;
mod durable_power_cut;
#[cfg(target_os = "linux")]
mod durable_refusals;
mod durable_salvage;
mod durable_size;
mod limits;
mod memory_store;
mod model;
mod reconnect;
mod replies;
mod retries;
mod room;
#[cfg(target_os = "linux")]
mod small_disk;
mod sockets;
mod store_faults;
mod unsendable;
mod waiting;
mod wire;
