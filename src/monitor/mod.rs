//! The handles on a stream: monitors, and what is made from them.
//!
//! May use `watcher`, `policy`, `state` and `errors`.
//!
//! Used by the stream, the transfers and the integrations.

mod abort;
mod acknowledged;
mod byte_counts;
mod grace;
mod grace_period;
mod grace_token;
mod handle;
mod run_error;
mod run_io;
mod run_until_closed;
#[cfg(feature = "codec")]
mod sink_error;
#[cfg(any(feature = "codec", feature = "http"))]
mod until_closed;

pub use grace::{Grace, GraceExpired};
pub use grace_token::GraceToken;
pub use handle::Monitor;
pub use run_error::RunError;
#[cfg(feature = "codec")]
pub use sink_error::SinkError;
#[cfg(any(feature = "codec", feature = "http"))]
pub use until_closed::{UntilClosed, UntilClosedExt};
