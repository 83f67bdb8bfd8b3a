//! HTTP: bodies and producers that end with the connection, under hyper, axum and tonic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "axum")]
mod axum_listeners;
mod axum_tls;
mod bodies;
#[cfg(feature = "hyper-client")]
mod hyper_client;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(all(feature = "axum", feature = "tower"))]
mod tower;
#[cfg(feature = "axum")]
mod upgrades;
