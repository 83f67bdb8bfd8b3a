//! A stream whose peer the test controls.

use super::remote::Remote;
use crate::policy::MonitorConfig;
use crate::stream::MonitoredStream;

/// Wraps `io`, and returns the peer that closes it.
///
/// The bytes come from `io`, and the disconnect from [`Remote::hang_up`]. An idle handler over `tokio::io::duplex` learns
/// of it even if nothing is read or written. It needs no runtime.
///
/// ```
/// use hangup::CloseReason;
/// use hangup::test_util::scripted;
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (io, _bytes) = tokio::io::duplex(64);
/// let (mut stream, remote) = scripted(io);
/// stream.write_all(b"heard").await.unwrap();
/// remote.hang_up(CloseReason::Unreachable);
/// assert_eq!(stream.closed().await, CloseReason::Unreachable);
/// let error = stream.write_all(b"refused").await.unwrap_err();
/// assert_eq!(CloseReason::from(&error), CloseReason::Unreachable);
/// # }
/// ```
pub fn scripted<S>(io: S) -> (MonitoredStream<S>, Remote) {
    scripted_with_config(io, &MonitorConfig::default())
}

/// Like [`scripted`], with a configuration.
///
/// # Panics
///
/// As [`MonitoredStream::unwatched_with_config`].
///
/// ```
/// use hangup::test_util::scripted_with_config;
/// use hangup::{CloseReason, HalfClose, MonitorConfig};
///
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// let (stream, remote) = scripted_with_config(tokio::io::empty(), &config);
/// remote.half_close();
/// assert!(!stream.is_closed());
/// remote.hang_up(CloseReason::Reset);
/// assert_eq!(stream.close_reason(), Some(CloseReason::Reset));
/// ```
pub fn scripted_with_config<S>(io: S, config: &MonitorConfig) -> (MonitoredStream<S>, Remote) {
    let stream = MonitoredStream::unwatched_with_config(io, config);
    let remote = Remote::new(stream.shared().clone());
    (stream, remote)
}
