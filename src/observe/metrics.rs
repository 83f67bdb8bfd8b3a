//! Counters of all streams, for the [`metrics`](https://docs.rs/metrics) facade.
//!
//! With the feature `metrics` every [`MonitoredStream`](crate::MonitoredStream) is counted by the recorder
//! that the program has installed, before its first stream is made: Prometheus' or any other. These are
//! the names, which the constants of this module have too:
//!
//! | name | kind | unit | labels | what |
//! |---|---|---|---|---|
//! | `hangup_streams_opened_total` | counter | streams | | streams made |
//! | `hangup_streams_open` | gauge | streams | | streams that are not over |
//! | `hangup_streams_ended_total` | counter | streams | `reason`, `detected_by` | streams that are over |
//! | `hangup_stream_duration_seconds` | histogram | seconds | | from a stream's beginning to its end |
//! | `hangup_bytes_read_total` | counter | bytes | | what streams have [read](crate::Transfer::read) |
//! | `hangup_bytes_accepted_total` | counter | bytes | | what was [accepted](crate::Transfer::accepted) |
//! | `hangup_bytes_acknowledged_total` | counter | bytes | | what was [acknowledged](crate::Transfer::acknowledged), where that is known |
//! | `hangup_serve_limits_total` | counter | uses | `reason` | uses of a server's limits, with the feature `serve` |
//!
//! `reason` is [`CloseReason::name`](crate::CloseReason::name): the stalls are the streams that ended as
//! `stalled`. `detected_by` is how the end was heard of: `watcher`, `probe`, `read`, `write` (or a flush or
//! shutdown), `stall_policy`, `half_close`, or `us` where it was our own doing. How long the watcher took cannot be
//! told: the kernel does not say when a FIN or a reset came.
//!
//! A stream is over when it is closed: the peer's hang-up is counted when it is heard of. Its bytes are
//! counted when it is dropped, all at once: after the close there may be something to read still, and
//! reads and writes cost nothing more. Who wants to see a long download grow asks its
//! [`Monitor::transfer`](crate::Monitor::transfer).
//!
//! ```standalone_crate
//! use hangup::MonitoredListener;
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
//!     let prometheus = recorder.handle();
//!     metrics::set_global_recorder(recorder).expect("the first one");
//!     hangup::metrics::describe();
//!
//!     let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! #   drop(tokio::net::TcpStream::connect(listener.local_addr()?).await?);
//!     let (stream, _) = listener.accept().await?;
//!     stream.closed().await;
//!     drop(stream);
//!     let page = prometheus.render();
//!     assert!(page.contains("# TYPE hangup_streams_ended_total counter"));
//!     assert!(page.contains("hangup_streams_opened_total 1"));
//! #   assert!(page.contains("# HELP hangup_streams_open "));
//!     Ok(())
//! }
//! ```

use super::end::{Bytes, End};
use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::time::Duration;

/// Counter: streams made.
pub const STREAMS_OPENED: &str = "hangup_streams_opened_total";

/// Gauge: streams that are not over.
pub const STREAMS_OPEN: &str = "hangup_streams_open";

/// Counter: streams that are over, by [`REASON`] and [`DETECTED_BY`].
pub const STREAMS_ENDED: &str = "hangup_streams_ended_total";

/// Histogram: seconds from a stream's beginning to its end.
pub const STREAM_DURATION: &str = "hangup_stream_duration_seconds";

/// Counter: bytes that streams have read.
pub const BYTES_READ: &str = "hangup_bytes_read_total";

/// Counter: bytes that were accepted.
pub const BYTES_ACCEPTED: &str = "hangup_bytes_accepted_total";

/// Counter: bytes that were acknowledged, where that is known.
pub const BYTES_ACKNOWLEDGED: &str = "hangup_bytes_acknowledged_total";

/// Counter: uses of a server's limits, by [`REASON`].
pub const SERVE_LIMITS: &str = "hangup_serve_limits_total";

/// Label: [`CloseReason::name`](crate::CloseReason::name).
pub const REASON: &str = "reason";

/// Label: how the end was heard of.
pub const DETECTED_BY: &str = "detected_by";

/// Describes the metrics and their units to the recorder. Call it once, after the recorder is installed.
///
/// ```
/// // Without a recorder it does nothing.
/// hangup::metrics::describe();
/// ```
pub fn describe() {
    describe_counter!(STREAMS_OPENED, Unit::Count, "Streams made");
    describe_gauge!(STREAMS_OPEN, Unit::Count, "Streams that are not over");
    describe_counter!(
        STREAMS_ENDED,
        Unit::Count,
        "Streams that are over, by the reason and by how the end was heard of"
    );
    describe_counter!(
        SERVE_LIMITS,
        Unit::Count,
        "Uses of a server's limits, by the reason"
    );
    describe_histogram!(
        STREAM_DURATION,
        Unit::Seconds,
        "From a stream's beginning to its end"
    );
    describe_counter!(BYTES_READ, Unit::Bytes, "Bytes read, counted at the drop");
    describe_counter!(
        BYTES_ACCEPTED,
        Unit::Bytes,
        "Bytes that the kernel accepted, counted at the drop"
    );
    describe_counter!(
        BYTES_ACKNOWLEDGED,
        Unit::Bytes,
        "Accepted bytes that the peer had acknowledged by the drop, where that is known"
    );
}

#[cfg(feature = "serve")]
pub(crate) fn limit(reason: &'static str) {
    counter!(SERVE_LIMITS, REASON => reason).increment(1);
}

pub(crate) fn opened() {
    counter!(STREAMS_OPENED).increment(1);
    gauge!(STREAMS_OPEN).increment(1.0);
}

pub(crate) fn closed(end: &End<'_>, lasted: Duration) {
    gauge!(STREAMS_OPEN).decrement(1.0);
    counter!(STREAMS_ENDED, REASON => end.reason_name, DETECTED_BY => end.detected_by).increment(1);
    histogram!(STREAM_DURATION).record(lasted);
}

pub(crate) fn dropped(bytes: Bytes) {
    counter!(BYTES_READ).increment(bytes.read);
    counter!(BYTES_ACCEPTED).increment(bytes.accepted);
    counter!(BYTES_ACKNOWLEDGED).increment(bytes.acknowledged.unwrap_or(0));
}
