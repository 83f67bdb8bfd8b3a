//! An event at the end of each stream, for [`tracing`](https://docs.rs/tracing).
//!
//! There is nothing to call: with the feature `tracing` every [`MonitoredStream`](crate::MonitoredStream)
//! tells of its end, once, when it is heard of. The event is in the span that was current when the stream
//! was made, wherever it is heard of; if there was none, it is in none. (So that span is kept open until
//! the stream is over.)
//!
//! Its target is [`TARGET`]. Its level is `INFO` for an end that came from the peer or the network, and
//! `DEBUG` for one of [our own doing](crate::CloseReason::is_local). Its fields:
//!
//! | field | type | what |
//! |---|---|---|
//! | `message` | text | `stream over: ` and the reason in words |
//! | `reason` | text | [`CloseReason::name`](crate::CloseReason::name) |
//! | `detected_by` | text | how the end was heard of: `watcher`, `probe`, `read`, `write` (or a flush or shutdown), `stall_policy`, `half_close`, or `us`: it was our own doing |
//! | `duration_seconds` | float | since the stream was made |
//! | `read`, `accepted` | integer | bytes, as in [`Transfer`](crate::Transfer) |
//! | `acknowledged` | integer | the same; left out where it is not known |
//! | `peer` | text | the peer's address; left out where there is none |
//!
//! The bytes are those of the moment of the close: what had arrived by then and is read later is not among
//! them.
//!
//! An outbox tells, with its name as the field `outbox`: that it is connected (`INFO`), that its connection was lost or
//! not made (`INFO`, with `reason` and `attempt`), that it gave up (`WARN`), that a message cannot be sent (`WARN`, with
//! `number`), and that its store failed (`WARN`).
//!
//! On Windows there is one more event, of the level `WARN`: the socket driver could not be opened, and the streams of a
//! runtime are polled every 50 ms.
//!
//! Without a subscriber for it nothing is asked of the system; a stream costs two looks at the clock and a
//! small allocation more, a tenth of a microsecond. A read and a write cost nothing.
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
use ::tracing::{Level, Span, enabled, event};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The target of the events: what a filter names.
pub const TARGET: &str = "hangup";

/// What is known of a stream at its beginning, and how to ask for the rest.
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
        Self {
            span: Span::current(),
            // Now or never: after a reset the system has forgotten it.
            peer: match enabled!(target: TARGET, Level::INFO) {
                true => peer(),
                false => None,
            },
            bytes: Box::new(bytes),
        }
    }

    pub(crate) fn report(self, end: &End<'_>, lasted: Duration) {
        // A macro, since a level is a part of the place that an event comes from.
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

/// Windows does not let the watcher of a runtime be notified.
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
