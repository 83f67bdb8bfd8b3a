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
//! | `hangup_outbox_messages` | gauge | messages | `outbox` | messages in an outbox, in memory and on disk, with the feature `outbox` |
//! | `hangup_outbox_bytes` | gauge | bytes | `outbox` | their sizes in memory |
//! | `hangup_outbox_disk_bytes` | gauge | bytes | `outbox` | the sizes of those that are only in the store |
//! | `hangup_outbox_oldest_seconds` | gauge | seconds | `outbox` | the age of the oldest message in memory |
//! | `hangup_outbox_connected` | gauge | outboxes | `outbox` | outboxes that have a connection |
//! | `hangup_outbox_connects_total` | counter | attempts | `outbox` | attempts to connect |
//! | `hangup_outbox_delivered_total` | counter | messages | `outbox` | confirmed messages |
//! | `hangup_outbox_resent_total` | counter | messages | `outbox` | messages that were written again after a loss |
//! | `hangup_outbox_dropped_total` | counter | messages | `outbox` | messages that were dropped, for any reason |
//! | `hangup_outbox_rejected_total` | counter | messages | `outbox` | those of them that the peer rejected |
//! | `hangup_outbox_dead_letters_total` | counter | messages | `outbox` | messages that cannot be sent |
//!
//! `outbox` is the `name` of the outbox's builder. Outboxes of one name are counted together, but for the age, which is
//! that of any of them. An outbox reports at most ten times a second, and once more when it ends.
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

/// Gauge: messages in an outbox, by [`OUTBOX`].
pub const OUTBOX_MESSAGES: &str = "hangup_outbox_messages";

/// Gauge: the sizes of an outbox's messages in memory, by [`OUTBOX`].
pub const OUTBOX_BYTES: &str = "hangup_outbox_bytes";

/// Gauge: the sizes of an outbox's messages that are only in its store, by [`OUTBOX`].
pub const OUTBOX_DISK_BYTES: &str = "hangup_outbox_disk_bytes";

/// Gauge: the age of the oldest message in memory, by [`OUTBOX`].
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
    describe_outbox();
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
        (
            OUTBOX_OLDEST,
            Unit::Seconds,
            "Age of the oldest message in memory",
        ),
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
