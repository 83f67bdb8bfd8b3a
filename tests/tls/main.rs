//! TLS: below a monitored stream and above one, its ends, and its handshakes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod answered;
mod ends;
mod handshakes;
mod layering;
