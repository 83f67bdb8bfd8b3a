//! Tracing events and metrics about streams, for the operator of a program.
//!
//! Uses nothing of this crate: it takes plain values.
//!
//! Used by `state`, which reports the beginning and the end of each stream, by `serve` and by `outbox`.

#[cfg_attr(
    not(feature = "tracing"),
    allow(dead_code, reason = "only `tracing` records all of it")
)]
mod end;
mod foreign;
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) mod lifecycle;
#[cfg(not(any(feature = "metrics", feature = "tracing")))]
#[path = "lifecycle_off.rs"]
pub(crate) mod lifecycle;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(all(feature = "metrics", feature = "outbox"))]
mod outbox_values;
#[cfg(feature = "tracing")]
pub mod tracing;

pub(crate) use end::{Bytes, End};
pub(crate) use foreign::call_foreign;
#[cfg(all(feature = "metrics", feature = "outbox"))]
pub(crate) use outbox_values::OutboxValues;
