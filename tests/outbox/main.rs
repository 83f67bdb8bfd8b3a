//! The outbox and its stores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod durable;
mod durable_kill;
mod durable_outbox;
mod model;
mod reconnect;
mod room;
mod sockets;
