//! The stream wrapper and the ways to create one: the only room that turns the results of polls into events.
//! May use `monitor`, `watcher`, `policy`, `state` and `errors`.
//! Used by the transfers and the integrations.
//!
//! | file | contents |
//! |---|---|
//! | `monitored_stream` | the type |
//! | `construct`, `try_new`, `signal`, `connect` | its constructors |
//! | `poll` | `AsyncRead` and `AsyncWrite`: each call goes to the wrapped stream, and its result to the link |
//! | `link` | the shared state and the policies of a stream: refuses writes, applies the stall policy |
//! | `results` | turns the results of calls into events |
//! | `layer` | a protocol above the stream, such as TLS |
//! | `split/` | halves for two tasks |
//! | `listener`, `accept`, `accept_retry`, `inherited`, `listener_options`, `connections` | accepting connections, and ending them together |
//! | `direct_io`, `peek`, `socket` | calls that do not wait, and readiness |
//! | `watch_only` | the handle on a stream that another library owns |
//! | `stalled`, `half_close` | the tasks of the stall policy and of `HalfClose::AllowFor` |
//!
//! # The order of drops
//!
//! A stream gives its descriptor up before it closes it (invariant 3). [`MonitoredStream`] does this by the order of
//! its fields: the link, which removes the socket from the watcher, is dropped before the wrapped stream.

mod accept;
mod accept_retry;
mod addresses;
mod as_fd;
mod connect;
mod connections;
mod construct;
mod direct_io;
mod half_close;
#[cfg(feature = "hyper-client")]
mod hyper_client;
mod inherited;
mod layer;
mod link;
mod listener;
mod listener_options;
mod monitored_stream;
mod peek;
mod poll;
mod results;
mod signal;
mod socket;
mod split;
mod stalled;
mod try_new;
mod watch_only;
mod wrap_error;

#[cfg(any(feature = "serve", feature = "tls", feature = "tonic"))]
pub(crate) use accept_retry::AcceptRetry;
#[cfg(feature = "serve")]
pub(crate) use accept_retry::is_of_one_connection;
pub use addresses::Addressed;
pub use connections::Connections;
pub use layer::Transport;
pub use listener::MonitoredListener;
pub use monitored_stream::MonitoredStream;
#[cfg(any(unix, windows))]
pub(crate) use poll::PollRefused;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
pub(crate) use poll::SocketWrite;
pub use socket::DirectIo;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use watch_only::WatchOnly;
pub use wrap_error::WrapError;
