//! The wrapper, and where it comes from: the only room that turns the results of polls into events.
//!
//! May use `monitor`, `watcher`, `policy`, `state` and `errors`.
//!
//! Used by the transfers and the integrations.

mod accept;
mod addresses;
mod connect;
mod connections;
mod direct_io;
mod half_close;
#[cfg(feature = "hyper-client")]
mod hyper_client;
mod layer;
mod link;
mod listener;
mod monitored_stream;
mod poll;
mod signal;
mod socket;
mod split;
mod stalled;
mod try_new;
mod wrap_error;

#[cfg(any(feature = "serve", feature = "tls", feature = "tonic"))]
pub(crate) use accept::AcceptRetry;
#[cfg(feature = "serve")]
pub(crate) use accept::is_of_one_connection;
pub use addresses::Addressed;
pub use connections::Connections;
pub use layer::Transport;
pub use listener::MonitoredListener;
pub use monitored_stream::MonitoredStream;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
pub(crate) use poll::SocketWrite;
pub use socket::DirectIo;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use wrap_error::WrapError;
