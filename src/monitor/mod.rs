//! The handles on a stream: monitors, and what is made from them.
//!
//! May use `watcher`, `policy`, `state` and `errors`.
//!
//! Used by the stream, the transfers and the integrations.

mod acknowledged;
mod grace;
mod handle;
#[cfg(feature = "codec")]
mod until_closed;

pub use grace::{Grace, GraceOver};
pub use handle::Monitor;
#[cfg(feature = "codec")]
pub use until_closed::{SinkError, UntilClosed, UntilClosedExt};
