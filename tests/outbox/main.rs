//! The outbox and its stores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledged;
mod dead_letters;
mod durable;
mod durable_kill;
mod durable_outbox;
mod limits;
mod memory_store;
mod model;
mod reconnect;
mod replies;
mod retries;
mod room;
mod sockets;
mod store_faults;
mod waiting;
mod wire;
