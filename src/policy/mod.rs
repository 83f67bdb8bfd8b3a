//! What a user may ask for: the configuration of a stream, and the bounds for stalled and vanished peers.
//!
//! May use `state` and `errors`.
//!
//! Used by the watcher, the monitors and the stream.

mod config;
mod dead_peer;
mod fin_delay;
mod owed;
mod read_ahead;
mod stall;
pub(crate) mod timer;

pub use config::MonitorConfig;
pub(crate) use fin_delay::{DelayStep, FinDelay};
pub(crate) use owed::OwedWindow;
pub(crate) use read_ahead::ReadAhead;
pub use stall::StallPolicy;
pub(crate) use stall::{Stall, Step};
