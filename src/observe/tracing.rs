//! An event at the end of each stream, for [`tracing`](https://docs.rs/tracing).
//!
//! There is nothing to call: with the feature `tracing`, every [`MonitoredStream`](crate::MonitoredStream) reports its
//! close once, when it is detected. The event is in the span that was current when the stream was created, whichever task
//! detects the close. If there was none, the event is in no span. The stream keeps that span open until its close.
//!
//! Its target is [`TARGET`]. Its level is `INFO` for an end that came from the peer or the network, and
//! `DEBUG` for one of [our own doing](crate::CloseReason::is_local). Its fields:
//!
//! | field | type | what |
//! |---|---|---|
//! | `message` | text | `stream over: `, and the reason in words |
//! | `reason` | text | [`CloseReason::name`](crate::CloseReason::name) |
//! | `detected_by` | text | `watcher`, `probe`, `read`, `write` (also a flush or shutdown), `stall_policy`, `signal`, `half_close`, or `us` if our side closed the stream |
//! | `duration_seconds` | float | since the stream was created |
//! | `read`, `accepted` | integer | bytes, as in [`Transfer`](crate::Transfer) |
//! | `acknowledged` | integer | the same; left out if it is not known |
//! | `peer` | text | the peer's address; left out if there is none |
//!
//! The bytes are counted at the close. Data that had arrived by then and is read later is not included.
//!
//! An outbox reports these events, with its name in the field `outbox`:
//!
//! | event | level | fields |
//! |---|---|---|
//! | it has connected | `INFO` | |
//! | its connection was lost, or an attempt to connect failed | `INFO` | `reason`, `attempt` |
//! | it gave up | `WARN` | |
//! | a message cannot be sent | `WARN` | `number` |
//! | its store failed | `WARN` | |
//!
//! On Windows there is one more event with the level `WARN`: the socket driver could not be opened, so the streams of a
//! runtime are polled every 50 ms.
//!
//! # How to choose a filter
//!
//! | the log should show | filter directive |
//! |---|---|
//! | each client that leaves | `hangup=info` |
//! | also the streams that our side ends | `hangup=debug` |
//! | only problems of an outbox or a server | `hangup=warn` |
//! | nothing | `hangup=off` |
//!
//! # Cost
//!
//! If no subscriber is interested, no system call is made. A stream then costs two readings of the clock and one small
//! allocation, a tenth of a microsecond. Reads and writes cost nothing.
//!
//! ```standalone_crate
//! use hangup::MonitoredListener;
//! use tracing::Instrument;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     tracing_subscriber::fmt().init();
//!     let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! #   drop(tokio::net::TcpStream::connect(listener.local_addr()?).await?);
//!     let request = tracing::info_span!("request", id = 7);
//!     let (stream, _) = listener.accept().instrument(request).await?;
//!     // INFO request{id=7}: hangup: stream over: closed by peer reason="peer_closed" detected_by="watcher" …
//!     stream.closed().await;
//!     Ok(())
//! }
//! ```

use super::end::{Bytes, End};
use super::foreign::call_foreign;
use ::tracing::{Level, Span, enabled, event};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The target of the events, for filters.
pub const TARGET: &str = "hangup";

/// The values that are known when a stream is created, and a function that returns its byte counts.
pub(crate) struct Origin {
    span: Span,
    peer: Option<SocketAddr>,
    bytes: Box<dyn Fn() -> Bytes + Send + Sync>,
}

impl Origin {
    pub(crate) fn new(
        peer: impl FnOnce() -> Option<SocketAddr>,
        bytes: impl Fn() -> Bytes + Send + Sync + 'static,
    ) -> Self {
        let mut origin = Self {
            span: Span::none(),
            peer: None,
            bytes: Box::new(bytes),
        };
        call_foreign(|| {
            origin.span = Span::current();
            // After a reset the system has forgotten the address, so it is read now.
            if enabled!(target: TARGET, Level::INFO) {
                origin.peer = peer();
            }
        });
        origin
    }

    pub(crate) fn report(self, end: &End<'_>, lasted: Duration) {
        // A macro, because tracing needs the level as a constant.
        macro_rules! report {
            ($level:expr) => {
                if enabled!(target: TARGET, $level) {
                    let bytes = (self.bytes)();
                    event!(
                        target: TARGET,
                        parent: &self.span,
                        $level,
                        reason = end.reason_name,
                        detected_by = end.detected_by,
                        duration_seconds = lasted.as_secs_f64(),
                        read = bytes.read,
                        accepted = bytes.accepted,
                        acknowledged = bytes.acknowledged,
                        peer = self.peer.map(::tracing::field::display),
                        "stream over: {}",
                        end.reason,
                    );
                }
            };
        }
        match end.is_local {
            false => report!(Level::INFO),
            true => report!(Level::DEBUG),
        }
    }
}

/// Reports that the watcher of a runtime polls, because the socket driver cannot be opened.
#[cfg(all(windows, not(hangup_fallback)))]
pub(crate) fn polls_instead(error: &std::io::Error) {
    event!(
        target: TARGET,
        Level::WARN,
        %error,
        "cannot open \\Device\\Afd: the streams of this runtime are polled every 50 ms",
    );
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("span", &self.span)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
