//! Counters of all streams, for the [`metrics`](https://docs.rs/metrics) facade.
//!
//! With the feature `metrics`, every [`MonitoredStream`](crate::MonitoredStream) is counted by the recorder that the
//! program installs, for Prometheus or any other system. Install it before the first stream is created. The constants of
//! this module have these names:
//!
//! | name | kind | unit | labels | what |
//! |---|---|---|---|---|
//! | `hangup_streams_opened_total` | counter | streams | | created streams |
//! | `hangup_streams_open` | gauge | streams | | open streams |
//! | `hangup_streams_ended_total` | counter | streams | `reason`, `detected_by` | closed streams |
//! | `hangup_stream_duration_seconds` | histogram | seconds | | from the creation of a stream to its close |
//! | `hangup_bytes_read_total` | counter | bytes | | [read](crate::Transfer::read) bytes |
//! | `hangup_bytes_accepted_total` | counter | bytes | | [accepted](crate::Transfer::accepted) bytes |
//! | `hangup_bytes_acknowledged_total` | counter | bytes | | [acknowledged](crate::Transfer::acknowledged) bytes, if they are known |
//! | `hangup_serve_limits_total` | counter | uses | `reason` | uses of a server's limits, with the feature `serve` |
//! | `hangup_outbox_messages` | gauge | messages | `outbox` | messages in an outbox, in memory and on disk, with the feature `outbox` |
//! | `hangup_outbox_bytes` | gauge | bytes | `outbox` | their sizes in memory |
//! | `hangup_outbox_disk_bytes` | gauge | bytes | `outbox` | the sizes of those that are only in the store |
//! | `hangup_outbox_oldest_seconds` | gauge | seconds | `outbox` | the age of the oldest message |
//! | `hangup_outbox_connected` | gauge | outboxes | `outbox` | outboxes that have a connection |
//! | `hangup_outbox_connects_total` | counter | attempts | `outbox` | attempts to connect |
//! | `hangup_outbox_delivered_total` | counter | messages | `outbox` | confirmed messages |
//! | `hangup_outbox_resent_total` | counter | messages | `outbox` | messages that were written again after a loss |
//! | `hangup_outbox_dropped_total` | counter | messages | `outbox` | messages that were dropped, for any reason |
//! | `hangup_outbox_rejected_total` | counter | messages | `outbox` | those of them that the peer rejected |
//! | `hangup_outbox_dead_letters_total` | counter | messages | `outbox` | messages that cannot be sent |
//!
//! # Labels
//!
//! | label | values |
//! |---|---|
//! | `reason` | [`CloseReason::name`](crate::CloseReason::name): `stalled` counts the stalls, for example |
//! | `detected_by` | `watcher`, `probe`, `read`, `write` (also a flush or shutdown), `stall_policy`, `signal`, `half_close`, or `us` if our side closed the stream |
//! | `outbox` | the `name` of the outbox's builder |
//!
//! All of them have few values, so the number of time series stays small. No label has an address.
//!
//! # When they change
//!
//! A close is counted when it is detected. The bytes of a stream are counted all at once when it is dropped: received data
//! may still be read after the close, and so reads and writes cost nothing more. To watch a long download grow, use its
//! [`Monitor::transfer`](crate::Monitor::transfer). The time between a FIN and its detection cannot be measured, because
//! the kernel does not report when the FIN arrived.
//!
//! An outbox reports at most ten times a second, and once more when it ends. Outboxes with the same name are counted
//! together. Their age is that of any one of them.
//!
//! # What to look at
//!
//! In PromQL:
//!
//! | question | query |
//! |---|---|
//! | How many clients are connected? | `hangup_streams_open` |
//! | Why do clients leave? | `sum by (reason) (rate(hangup_streams_ended_total[5m]))` |
//! | How many clients are too slow? | `rate(hangup_streams_ended_total{reason="stalled"}[5m])` |
//! | How many clients vanish without a FIN? | `rate(hangup_streams_ended_total{reason="timed_out"}[5m])` |
//! | How much is detected only by a write, after data was produced in vain? | `rate(hangup_streams_ended_total{detected_by="write"}[5m])` |
//! | How much of the accepted data never arrives? | `1 - rate(hangup_bytes_acknowledged_total[1h]) / rate(hangup_bytes_accepted_total[1h])`, for plain TCP on Linux |
//! | Is an outbox stuck? | `hangup_outbox_oldest_seconds > 60` |
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

/// Counter: created streams.
pub const STREAMS_OPENED: &str = "hangup_streams_opened_total";

/// Gauge: open streams.
pub const STREAMS_OPEN: &str = "hangup_streams_open";

/// Counter: closed streams, by [`REASON`] and [`DETECTED_BY`].
pub const STREAMS_ENDED: &str = "hangup_streams_ended_total";

/// Histogram: seconds from the creation of a stream to its close.
pub const STREAM_DURATION: &str = "hangup_stream_duration_seconds";

/// Counter: bytes that streams have read.
pub const BYTES_READ: &str = "hangup_bytes_read_total";

/// Counter: bytes that were accepted.
pub const BYTES_ACCEPTED: &str = "hangup_bytes_accepted_total";

/// Counter: bytes that were acknowledged, if they are known.
pub const BYTES_ACKNOWLEDGED: &str = "hangup_bytes_acknowledged_total";

/// Counter: uses of a server's limits, by [`REASON`].
pub const SERVE_LIMITS: &str = "hangup_serve_limits_total";

/// Gauge: messages in an outbox, by [`OUTBOX`].
pub const OUTBOX_MESSAGES: &str = "hangup_outbox_messages";

/// Gauge: the sizes of an outbox's messages in memory, by [`OUTBOX`].
pub const OUTBOX_BYTES: &str = "hangup_outbox_bytes";

/// Gauge: the sizes of an outbox's messages that are only in its store, by [`OUTBOX`].
pub const OUTBOX_DISK_BYTES: &str = "hangup_outbox_disk_bytes";

/// Gauge: the age of the oldest message, in memory or in the store, by [`OUTBOX`].
pub const OUTBOX_OLDEST: &str = "hangup_outbox_oldest_seconds";

/// Gauge: outboxes that have a connection, by [`OUTBOX`].
pub const OUTBOX_CONNECTED: &str = "hangup_outbox_connected";

/// Counter: attempts of an outbox to connect, by [`OUTBOX`].
pub const OUTBOX_CONNECTS: &str = "hangup_outbox_connects_total";

/// Counter: confirmed messages, by [`OUTBOX`].
pub const OUTBOX_DELIVERED: &str = "hangup_outbox_delivered_total";

/// Counter: messages that were written again, by [`OUTBOX`].
pub const OUTBOX_RESENT: &str = "hangup_outbox_resent_total";

/// Counter: messages that were dropped, by [`OUTBOX`].
pub const OUTBOX_DROPPED: &str = "hangup_outbox_dropped_total";

/// Counter: messages that the peer rejected, by [`OUTBOX`].
pub const OUTBOX_REJECTED: &str = "hangup_outbox_rejected_total";

/// Counter: messages that cannot be sent, by [`OUTBOX`].
pub const OUTBOX_DEAD_LETTERS: &str = "hangup_outbox_dead_letters_total";

/// Label: the name of an outbox.
pub const OUTBOX: &str = "outbox";

/// Label: [`CloseReason::name`](crate::CloseReason::name).
pub const REASON: &str = "reason";

/// Label: what detected the end.
pub const DETECTED_BY: &str = "detected_by";

/// Describes the metrics and their units to the recorder. Call it once, after the recorder is installed.
///
/// ```
/// // Without a recorder it does nothing.
/// hangup::metrics::describe();
/// ```
pub fn describe() {
    describe_counter!(STREAMS_OPENED, Unit::Count, "Created streams");
    describe_gauge!(STREAMS_OPEN, Unit::Count, "Open streams");
    describe_counter!(
        STREAMS_ENDED,
        Unit::Count,
        "Closed streams, by the reason and by what detected the end"
    );
    describe_counter!(
        SERVE_LIMITS,
        Unit::Count,
        "Uses of a server's limits, by the reason"
    );
    describe_outbox();
    describe_histogram!(
        STREAM_DURATION,
        Unit::Seconds,
        "From the creation of a stream to its close"
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
        "Accepted bytes that the peer had acknowledged by the drop, if they are known"
    );
}

fn describe_outbox() {
    let gauges = [
        (OUTBOX_MESSAGES, Unit::Count, "Messages in an outbox"),
        (
            OUTBOX_BYTES,
            Unit::Bytes,
            "Messages of an outbox, in memory",
        ),
        (
            OUTBOX_DISK_BYTES,
            Unit::Bytes,
            "Messages of an outbox, only on disk",
        ),
        (OUTBOX_OLDEST, Unit::Seconds, "Age of the oldest message"),
        (
            OUTBOX_CONNECTED,
            Unit::Count,
            "Outboxes that have a connection",
        ),
    ];
    for (name, unit, what) in gauges {
        describe_gauge!(name, unit, what);
    }
    let counters = [
        (OUTBOX_CONNECTS, "Attempts of an outbox to connect"),
        (OUTBOX_DELIVERED, "Messages that were confirmed"),
        (
            OUTBOX_RESENT,
            "Messages that were written again after a loss",
        ),
        (OUTBOX_DROPPED, "Messages that were dropped"),
        (OUTBOX_REJECTED, "Messages that the peer rejected"),
        (OUTBOX_DEAD_LETTERS, "Messages that cannot be sent"),
    ];
    for (name, what) in counters {
        describe_counter!(name, Unit::Count, what);
    }
}

/// Reports what has changed in an outbox.
#[cfg(feature = "outbox")]
pub(crate) fn outbox(name: &str, before: &super::OutboxValues, now: &super::OutboxValues) {
    let gauges = [
        (OUTBOX_MESSAGES, before.messages, now.messages),
        (OUTBOX_BYTES, before.bytes, now.bytes),
        (OUTBOX_DISK_BYTES, before.disk_bytes, now.disk_bytes),
        (
            OUTBOX_CONNECTED,
            before.connected.into(),
            now.connected.into(),
        ),
    ];
    for (metric, before, now) in gauges {
        if now != before {
            gauge!(metric, OUTBOX => name.to_owned()).increment(now as f64 - before as f64);
        }
    }
    gauge!(OUTBOX_OLDEST, OUTBOX => name.to_owned()).set(now.oldest);
    let counters = [
        (OUTBOX_CONNECTS, before.connects, now.connects),
        (OUTBOX_DELIVERED, before.delivered, now.delivered),
        (OUTBOX_RESENT, before.resent, now.resent),
        (OUTBOX_DROPPED, before.dropped, now.dropped),
        (OUTBOX_REJECTED, before.rejected, now.rejected),
        (OUTBOX_DEAD_LETTERS, before.dead_letters, now.dead_letters),
    ];
    for (metric, before, now) in counters {
        if now > before {
            counter!(metric, OUTBOX => name.to_owned()).increment(now - before);
        }
    }
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
