//! HTTP: bodies and producers that end with the connection, under hyper, axum and tonic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "axum")]
mod axum;
mod axum_tls;
mod bodies;
mod scenarios;
#[cfg(feature = "axum")]
mod stalled_response;
#[cfg(feature = "tonic")]
mod tonic;
