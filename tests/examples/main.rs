//! The examples, run as a user runs them, with real clients: curl and raw sockets.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

mod detection;
mod dev_zero;
mod file_server;
#[cfg(feature = "outbox")]
mod robot;
