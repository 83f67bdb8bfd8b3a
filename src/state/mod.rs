//! The state of one stream: the pure state machine, and the shared cell that publishes its result. May use `errors`
//! and `observe`. `machine`, `event`, `status` and `half_close` are pure: no runtime, no descriptor, no clock, no
//! configuration. Used by every room above: the policies, the watcher, the monitors and the stream.
//!
//! # How an event becomes a close
//!
//! ```text
//!  read/write/flush ─┐
//!  watcher ──────────┼─▶ Event ─▶ SharedState ─▶ State::on ─▶ Status ─┬─▶ wakers: Closed, writer, reader
//!  stall policy ─────┤            (one lock)     (pure)                ├─▶ watch channel, token
//!  abort, drop ──────┘                                                └─▶ tracing, metrics
//! ```
//!
//! Every source of events ends in `SharedState::apply` (the stream's own calls) or `SharedState::observe` (everything
//! else). `State::on` decides alone what an event means, so all sources give the same reason.

mod atomic;
mod cell;
mod closed;
mod counters;
mod event;
mod half_close;
mod keyed_list;
mod machine;
mod observers;
mod publish;
mod shared;
mod status;
pub(crate) mod sync;

pub(crate) use atomic::AtomicU64;
pub use closed::Closed;
pub use counters::Transfer;
pub(crate) use event::{DetectedBy, Event};
pub use half_close::HalfClose;
pub(crate) use keyed_list::{Key, KeyedList};
#[cfg(feature = "outbox")]
pub(crate) use publish::publish_by;
pub(crate) use shared::SharedState;
pub use status::Status;
