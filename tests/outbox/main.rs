//! The outbox: what it delivers, in which order, and what it tells.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledged;
mod addresses;
mod after_the_end;
mod busy_runtime;
mod crowd;
mod ends;
mod full_store;
#[cfg(feature = "json")]
mod json;
mod limits;
mod memory_store;
mod model;
mod oldest;
#[cfg(feature = "test-util")]
mod padded;
mod reconnect;
mod replies;
mod retries;
mod room;
mod sockets;
mod status;
mod store_faults;
mod unsendable;
mod waiting;
mod wakers;
mod wire;
