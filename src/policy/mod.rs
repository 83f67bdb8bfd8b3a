//! The configuration of a stream: half-closes, timeouts, and limits for peers that stall or vanish.
//! May use `state`, `errors` and `observe`.
//! Used by the watcher, the monitors and the stream.
//!
//! | the peer | what the system sees | which setting detects it | implemented by |
//! |---|---|---|---|
//! | closes | FIN | none needed | the watcher |
//! | crashes | RST | none needed | the watcher |
//! | loses power or network | nothing arrives any more | [`MonitorConfig::dead_peer_timeout`] | the kernel: keepalive and `TCP_USER_TIMEOUT` (tcp(7)) |
//! | is connected and does not read | a full send buffer | [`StallPolicy`] | the bytes that the kernel holds, or else the time that writes wait |
//! | leaves behind unread data that fills the receive buffer | the FIN does not arrive | [`MonitorConfig::read_ahead`] | a side buffer |
//!
//! A value that cannot work is refused when the stream is created. The one exception is the window of a
//! [`StallPolicy`], which is raised to 12 ms or lowered to a year.

mod config;
mod dead_peer;
mod drain;
#[cfg(test)]
mod drain_simulation;
mod fin_delay;
mod nobody;
mod owed;
mod read_ahead;
mod stall;
mod stall_policy;
pub(crate) mod timer;

pub use config::MonitorConfig;
pub(crate) use drain::{Reading, Step};
pub(crate) use fin_delay::{DelayStep, FinDelay};
pub(crate) use nobody::{NOBODY, waits};
pub(crate) use owed::OwedWindow;
pub(crate) use read_ahead::ReadAhead;
pub(crate) use stall::{Attendance, Stall};
pub use stall_policy::StallPolicy;
