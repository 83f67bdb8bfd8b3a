//! Tests that do little but wait for timers of seconds, the kernel's and those of policies: together they wait at the same
//! time, and no other test keeps them from the processor.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(unix, feature = "outbox"))]
mod after_sigstop;
#[cfg(target_os = "linux")]
mod dead_peer_timeout;
#[cfg(feature = "axum")]
mod scenarios;
#[cfg(feature = "axum")]
mod stalled_response;
