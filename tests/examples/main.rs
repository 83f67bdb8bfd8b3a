//! The examples, run as a user runs them, with real clients: curl, raw sockets and Chromium.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod example;
mod leaving;
mod process;
mod server;

#[cfg(all(
    feature = "axum",
    feature = "outbox",
    feature = "ring",
    feature = "serve"
))]
mod a_short_soak;
mod browser_dashboard;
mod classify_log;
mod closed_output;
mod cookbook;
mod dashboard;
mod detection;
mod dev_zero;
mod file_server;
#[cfg(feature = "tls")]
mod leaks;
mod log_lines;
#[cfg(feature = "outbox")]
mod mqtt;
mod proxy;
#[cfg(feature = "outbox")]
mod robot;
#[cfg(feature = "tls")]
mod tls_server;
#[cfg(feature = "axum")]
mod tokens;
