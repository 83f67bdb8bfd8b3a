//! Know at once, and with the reason, that the peer of an async stream is gone.

pub mod errors;

mod closed;
mod config;
mod event;
mod fate;
mod listener;
mod monitor;
mod reason;
mod slots;
mod state;
mod status;
mod stream;
mod sync;
mod transfer;
mod watcher;

pub use closed::Closed;
pub use config::{HalfClose, MonitorConfig};
pub use listener::MonitoredListener;
pub use monitor::Monitor;
pub use reason::{CloseReason, Failure};
pub use status::Status;
pub use stream::MonitoredStream;
pub use transfer::Transfer;
