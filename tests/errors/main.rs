//! Errors: which class each has, by table, by fact and by provoking it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod call;
mod chain;
mod facts;
// Errors of axum, h2 and tonic.
#[cfg(feature = "axum")]
mod find;
mod os;
mod real;
mod tls;
mod well_known;
