//! For tower: a layer that cancels the handler of a request when its client leaves.
//!
//! May use `serve`, `state` and `monitor`. No other room uses it.

mod cancel;
mod cancel_future;

pub use cancel::{Cancel, CancelLayer};
pub use cancel_future::CancelFuture;
