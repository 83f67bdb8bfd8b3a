//! What the recorder of `metrics` is told.
//!
//! Alone in its program: a process has one global recorder, and one test installs it and counts every stream.

#![cfg(all(unix, feature = "metrics"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hangup::metrics::{
    BYTES_ACCEPTED, BYTES_ACKNOWLEDGED, BYTES_READ, DETECTED_BY, REASON, STREAM_DURATION,
    STREAMS_ENDED, STREAMS_OPEN, STREAMS_OPENED,
};
use hangup::{CloseReason, MonitoredListener, MonitoredStream};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::collections::HashMap;
use std::future::Future;
use std::io::{Read, Write};
use std::time::Duration;
use support::{Pair, Peer, Tcp4, reason, soon};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

/// What the recorder has been told, by name; of the ends by `reason/detected_by`.
struct Told {
    snapshotter: Snapshotter,
    /// The sums: a snapshot has what came since the one before it.
    sums: HashMap<String, f64>,
}

impl Told {
    fn of(&mut self, name: &str) -> f64 {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let (name, labels) = key.key().clone().into_parts();
            let label = |name| {
                let label = labels.iter().find(|label| label.key() == name);
                label.map(|label| label.value().to_owned())
            };
            let name = match (label(REASON), label(DETECTED_BY)) {
                (Some(reason), Some(detected_by)) => format!("{reason}/{detected_by}"),
                _ => name.as_str().to_owned(),
            };
            *self.sums.entry(name).or_default() += match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => *value,
                // How many values it has.
                DebugValue::Histogram(values) => values.len() as f64,
            };
        }
        self.sums.get(name).copied().unwrap_or_default()
    }
}

/// Runs `test` in this runtime of this thread, with a recorder of this thread.
fn recorded<F: Future>(runtime: &mut Builder, test: impl FnOnce(Told) -> F) {
    let recorder = DebuggingRecorder::new();
    let told = Told {
        snapshotter: recorder.snapshotter(),
        sums: HashMap::new(),
    };
    let runtime = runtime.enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test(told)));
}

#[test]
fn an_end_is_counted_when_it_is_heard_of_and_the_bytes_at_the_drop() {
    recorded(&mut Builder::new_current_thread(), |mut told| async move {
        let (io, mut peer) = Tcp4::pair();
        let mut stream = MonitoredStream::new(io).unwrap();
        assert_eq!(told.of(STREAMS_OPENED), 1.0);
        assert_eq!(told.of(STREAMS_OPEN), 1.0);

        stream.write_all(&[1; 1000]).await.unwrap();
        peer.read_exact(&mut [0; 1000]).unwrap();
        peer.write_all(&[2; 300]).unwrap();
        peer.finish();
        assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
        assert_eq!(told.of(STREAMS_OPEN), 0.0);
        assert_eq!(told.of("peer_closed/watcher"), 1.0);
        assert_eq!(told.of(STREAM_DURATION), 1.0);
        assert_eq!(told.of(BYTES_ACCEPTED), 0.0);

        // What had arrived before the close is read after it.
        let read = soon("the end", stream.read_to_end(&mut Vec::new())).await;
        assert_eq!(read.unwrap(), 300);
        drop(stream);
        assert_eq!(told.of(BYTES_READ), 300.0);
        assert_eq!(told.of(BYTES_ACCEPTED), 1000.0);
        if cfg!(target_os = "linux") && !cfg!(hangup_fallback) {
            assert_eq!(told.of(BYTES_ACKNOWLEDGED), 1000.0);
        }
        assert_eq!(told.of(STREAMS_OPENED), 1.0);
        assert_eq!(told.of(STREAMS_OPEN), 0.0);
        assert_eq!(told.of("dropped/us"), 0.0);
    });
}

/// The bytes that a reset has kept from the peer are accepted, and not acknowledged.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[test]
fn accepted_and_acknowledged_differ_after_a_reset() {
    recorded(&mut Builder::new_current_thread(), |mut told| async move {
        let (io, peer) = Tcp4::pair();
        let mut stream = MonitoredStream::new(io).unwrap();
        let monitor = stream.monitor();
        let blocked = tokio::time::timeout(Duration::from_millis(500), async {
            loop {
                stream.write_all(&[0; 65536]).await.unwrap();
            }
        });
        assert!(blocked.await.is_err());
        peer.reset();
        assert_eq!(reason(&monitor).await, CloseReason::Reset);
        drop(stream);
        let (accepted, acknowledged) = (told.of(BYTES_ACCEPTED), told.of(BYTES_ACKNOWLEDGED));
        assert!(
            0.0 < acknowledged && acknowledged < accepted,
            "{acknowledged} of {accepted}"
        );
        assert_eq!(accepted, monitor.transfer().accepted as f64);
        assert_eq!(
            acknowledged,
            monitor.transfer().acknowledged.unwrap() as f64
        );
    });
}

#[test]
fn each_way_of_hearing_has_its_label() {
    recorded(&mut Builder::new_current_thread(), |mut told| async move {
        let (io, peer) = tokio::io::duplex(64);
        let mut read = MonitoredStream::unwatched(io);
        drop(peer);
        assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(told.of("peer_closed/read"), 1.0);

        let (io, peer) = tokio::io::duplex(64);
        let mut write = MonitoredStream::unwatched(io);
        drop(peer);
        write.write(&[0; 8]).await.unwrap_err();
        assert_eq!(told.of("peer_closed/write"), 1.0);

        let (io, peer) = Tcp4::pair();
        let probe = MonitoredStream::new(io).unwrap();
        peer.finish();
        // The runtime's only thread is here, so the watcher cannot come first.
        while !probe.monitor().probe().is_closed() {}
        assert_eq!(told.of("peer_closed/probe"), 1.0);

        let abort = MonitoredStream::unwatched(tokio::io::duplex(64).0);
        abort.abort();
        assert_eq!(told.of("aborted/us"), 1.0);

        let dropped = MonitoredStream::unwatched(tokio::io::duplex(64).0);
        drop(dropped);
        assert_eq!(told.of("dropped/us"), 1.0);
        assert_eq!(told.of(STREAMS_OPEN), 0.0);
        assert_eq!(told.of(STREAMS_OPENED), 5.0);
    });
}

#[test]
fn a_stall_is_counted() {
    let mut paused = Builder::new_current_thread();
    recorded(paused.start_paused(true), |mut told| async move {
        let policy = hangup::StallPolicy::new(1, Duration::from_secs(60));
        let config = hangup::MonitorConfig::new().stall(policy);
        let (io, _peer) = tokio::io::duplex(64);
        let mut stream = MonitoredStream::unwatched_with_config(io, &config);
        let error = stream.write_all(&[0; 65]).await.unwrap_err();
        assert_eq!(CloseReason::from(&error), CloseReason::Stalled);
        assert_eq!(told.of("stalled/stall_policy"), 1.0);
    });
}

/// Peers leave while the streams are read, written to, aborted and dropped by two threads, and the watcher
/// hears of it on either: each stream ends once.
#[test]
fn each_of_many_streams_ends_once() {
    const STREAMS: usize = 400;
    // All threads but those of the other tests, which have recorders of their own.
    let recorder = DebuggingRecorder::new();
    let mut told = Told {
        snapshotter: recorder.snapshotter(),
        sums: HashMap::new(),
    };
    recorder.install().unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..STREAMS {
            let (io, peer) = Tcp4::pair();
            let mut stream = MonitoredStream::new(io).unwrap();
            tasks.spawn_blocking(move || match number % 2 {
                0 => peer.reset(),
                _ => drop(peer),
            });
            tasks.spawn(async move {
                match number % 4 {
                    0 => drop(stream.read(&mut [0]).await),
                    1 => while stream.write(&[0]).await.is_ok() {},
                    2 => stream.abort(),
                    _ => {}
                }
            });
        }
        while let Some(task) = soon("a task", tasks.join_next()).await {
            task.unwrap();
        }
    });
    drop(runtime);
    assert_eq!(told.of(STREAMS_OPENED), STREAMS as f64);
    assert_eq!(told.of(STREAMS_OPEN), 0.0);
    assert_eq!(told.of(STREAM_DURATION), STREAMS as f64);
    let ends = told.sums.iter().filter(|(name, _)| name.contains('/'));
    assert_eq!(ends.map(|(_, count)| count).sum::<f64>(), STREAMS as f64);
}

/// What could not be wrapped is no stream.
#[test]
fn a_stream_that_could_not_be_made_is_not_counted() {
    recorded(&mut Builder::new_current_thread(), |mut told| async move {
        let file = std::fs::File::open("/dev/null").unwrap();
        MonitoredStream::new(file).unwrap_err();
        assert_eq!(told.of(STREAMS_OPENED), 0.0);
        assert_eq!(told.of(STREAMS_ENDED), 0.0);
    });
}

/// The depth, the connection and the counts of an outbox, and nothing of them after its end.
#[cfg(feature = "outbox")]
#[test]
fn an_outbox_reports_its_state() {
    use hangup::metrics::*;
    use hangup::outbox::{Confirm, Outbox, Processed};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::codec::LinesCodec;

    let mut runtime = Builder::new_current_thread();
    recorded(runtime.enable_all(), |mut told| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let number = |message: &String| message.parse().unwrap();
        let meaning = |reply: String| match reply.split_once(' ')? {
            ("ok", number) => Some(Processed::One(number.parse().ok()?)),
            (_, number) => Some(Processed::Rejected(number.parse().ok()?, "no".into())),
        };
        let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
            .confirm(Confirm::by_peer(number, LinesCodec::new, meaning))
            .name("robot")
            .spawn()
            .unwrap();
        let receipts = [
            outbox.send("1".to_owned()).await.unwrap(),
            outbox.send("2".to_owned()).await.unwrap(),
            outbox.send("3".to_owned()).await.unwrap(),
        ];
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut lines = [0; 6];
        peer.read_exact(&mut lines).await.unwrap();
        let mut wait = async |name, value| {
            let reached = async {
                while told.of(name) != value {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            soon(name, reached).await;
        };
        wait(OUTBOX_MESSAGES, 3.0).await;
        wait(OUTBOX_BYTES, 3.0).await;
        wait(OUTBOX_CONNECTED, 1.0).await;
        wait(OUTBOX_CONNECTS, 1.0).await;
        peer.write_all(b"ok 1\nno 2\n").await.unwrap();
        let [first, second, third] = receipts;
        first.await.unwrap();
        second.await.unwrap_err();
        wait(OUTBOX_MESSAGES, 1.0).await;
        wait(OUTBOX_DELIVERED, 1.0).await;
        wait(OUTBOX_REJECTED, 1.0).await;
        wait(OUTBOX_DROPPED, 1.0).await;
        outbox.shutdown(Duration::ZERO).await;
        wait(OUTBOX_MESSAGES, 0.0).await;
        wait(OUTBOX_BYTES, 0.0).await;
        wait(OUTBOX_CONNECTED, 0.0).await;
        drop(third);
    });
}

/// A recorder that panics, as one whose lock is poisoned does.
struct Panics;

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panic!("poisoned")
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("poisoned")
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("poisoned")
    }
}

/// A panic of the recorder at the end of a stream was caught, and one at the beginning came out of `accept`: a server's
/// loop ended.
#[test]
fn a_recorder_that_panics_ends_nothing() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&Panics, || {
        runtime.block_on(async {
            let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(address).unwrap();
            let (stream, _) = soon("the client", listener.accept()).await.unwrap();
            drop(client);
            assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
            drop(stream);
        });
    });
}
