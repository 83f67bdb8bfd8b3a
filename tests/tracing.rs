//! What the subscriber of `tracing` is told.
//!
//! Alone in its program: `tracing` caches for the whole process whether anybody listens to an event.

#![cfg(all(unix, feature = "tracing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hangup::{CloseReason, Monitor, MonitoredListener, MonitoredStream};
use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use support::{Pair, Peer, Tcp4, reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One event of ours.
#[derive(Debug, Default, Clone)]
struct Told {
    level: Option<Level>,
    span: Option<String>,
    fields: HashMap<&'static str, String>,
}

impl Told {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// A layer that keeps the events of ours, and does with each what a subscriber may.
#[derive(Clone, Default)]
struct Kept {
    events: Arc<Mutex<Vec<Told>>>,
    /// Asked for all that it has, in the middle of the event.
    monitor: Arc<Mutex<Option<Monitor>>>,
}

impl Kept {
    fn events(&self) -> Vec<Told> {
        self.events.lock().unwrap().clone()
    }

    /// The only event.
    fn event(&self) -> Told {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != hangup::tracing::TARGET {
            return;
        }
        let mut told = Told {
            level: Some(*event.metadata().level()),
            span: context.event_span(event).map(|span| span.name().to_owned()),
            ..Told::default()
        };
        event.record(&mut told);
        if let Some(monitor) = self.monitor.lock().unwrap().take() {
            assert!(monitor.is_closed());
            assert!(monitor.probe().is_closed());
            assert!(monitor.cancellation_token().is_cancelled());
            drop(monitor.subscribe());
            drop(format!("{monitor:?}"));
        }
        self.events.lock().unwrap().push(told);
    }
}

/// A subscriber for this thread.
fn subscribe() -> (Kept, tracing::subscriber::DefaultGuard) {
    let kept = Kept::default();
    let subscriber = tracing_subscriber::registry().with(kept.clone());
    (kept, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn the_end_is_told_once_in_the_span_of_the_beginning() {
    let (kept, _guard) = subscribe();
    let (io, mut peer) = Tcp4::pair();
    let address = io.peer_addr().unwrap();
    let request = info_span!("request");
    let mut stream = request.in_scope(|| MonitoredStream::new(io).unwrap());
    let monitor = stream.monitor();
    *kept.monitor.lock().unwrap() = Some(monitor.clone());
    stream.write_all(&[1; 1000]).await.unwrap();
    peer.read_exact(&mut [0; 1000]).unwrap();
    peer.write_all(&[2; 300]).unwrap();
    stream.read_exact(&mut [0; 300]).await.unwrap();
    assert!(kept.events().is_empty());

    peer.finish();
    // The watcher's task is in no span.
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    drop(stream);
    let told = kept.event();
    assert_eq!(told.level, Some(Level::INFO));
    assert_eq!(told.span.as_deref(), Some("request"));
    assert_eq!(told.field("message"), "stream over: closed by peer");
    assert_eq!(told.field("reason"), "peer_closed");
    assert_eq!(told.field("detected_by"), "watcher");
    assert_eq!(told.field("read"), "300");
    assert_eq!(told.field("accepted"), "1000");
    if cfg!(target_os = "linux") && !cfg!(hangup_fallback) {
        assert_eq!(told.field("acknowledged"), "1000");
    }
    assert_eq!(told.field("peer"), address.to_string());
    assert!(told.field("duration_seconds").parse::<f64>().unwrap() > 0.0);
    assert!(kept.monitor.lock().unwrap().is_none());
}

/// The write that hears of the end is under way when the stream closes, and within a write it cannot be
/// known what is acknowledged: the event waits for its end.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn an_end_that_a_write_hears_of_has_exact_counts() {
    let (kept, _guard) = subscribe();
    let (io, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(io).unwrap();
    stream.write_all(&[1; 1000]).await.unwrap();
    peer.read_exact(&mut [0; 1000]).unwrap();
    peer.reset();
    // No await that is pending: the watcher has no turn.
    let error = loop {
        if let Err(error) = stream.write_all(&[1; 10]).await {
            break error;
        }
    };
    assert_eq!(CloseReason::from(&error), CloseReason::Reset);
    let told = kept.event();
    assert_eq!(told.field("detected_by"), "write");
    assert_eq!(told.field("reason"), "reset");
    let transfer = stream.monitor().transfer();
    assert_eq!(told.field("accepted"), transfer.accepted.to_string());
    assert_eq!(told.field("acknowledged"), "1000");
}

/// What is acknowledged must be asked for before the descriptor is closed.
#[tokio::test]
async fn a_dropped_stream_is_debug_and_has_its_counts() {
    let (kept, _guard) = subscribe();
    let (io, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(io).unwrap();
    stream.write_all(&[1; 1000]).await.unwrap();
    peer.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    let told = kept.event();
    assert_eq!(told.level, Some(Level::DEBUG));
    assert_eq!(told.span, None);
    assert_eq!(told.field("reason"), "dropped");
    assert_eq!(told.field("detected_by"), "us");
    assert_eq!(told.field("accepted"), "1000");
    if cfg!(target_os = "linux") && !cfg!(hangup_fallback) {
        assert_eq!(told.field("acknowledged"), "1000");
    }
}

#[tokio::test(start_paused = true)]
async fn the_duration_is_from_the_beginning_to_the_end() {
    let (kept, _guard) = subscribe();
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    tokio::time::advance(std::time::Duration::from_secs(90)).await;
    stream.abort();
    tokio::time::advance(std::time::Duration::from_secs(90)).await;
    drop(stream);
    let told = kept.event();
    assert_eq!(told.field("duration_seconds"), "90.0");
    assert_eq!(told.field("reason"), "aborted");
    assert_eq!(told.field("peer"), "");
    assert_eq!(told.field("acknowledged"), "");
}

/// The account and the monitor that it asks own each other until the close.
#[tokio::test]
async fn the_close_lets_go_of_the_span() {
    struct Ends(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ends {
        fn on_close(&self, id: tracing::span::Id, context: Context<'_, S>) {
            let name = context.span(&id).unwrap().name().to_owned();
            self.0.lock().unwrap().push(name);
        }
    }

    let ended = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Ends(ended.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    let (io, peer) = Tcp4::pair();
    let stream = info_span!("request").in_scope(|| MonitoredStream::new(io).unwrap());
    assert!(ended.lock().unwrap().is_empty());
    peer.finish();
    reason(&stream.monitor()).await;
    assert_eq!(*ended.lock().unwrap(), ["request"]);
}

/// A subscriber that panics in each event of ours, as one that prints does when standard error is closed.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        assert_ne!(event.metadata().target(), hangup::tracing::TARGET);
    }
}

/// A subscriber that panics, as one that prints does when standard error is closed, ended the watcher: all
/// other streams were told that the runtime is gone.
#[tokio::test]
async fn a_subscriber_that_panics_ends_nothing() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Panics));
    let (first, first_peer) = Tcp4::pair();
    let (second, second_peer) = Tcp4::pair();
    let first = MonitoredStream::new(first).unwrap();
    let second = MonitoredStream::new(second).unwrap();
    first_peer.finish();
    assert_eq!(reason(&first.monitor()).await, CloseReason::PeerClosed);
    tokio::task::yield_now().await;
    assert_eq!(second.close_reason(), None);
    second_peer.finish();
    assert_eq!(reason(&second.monitor()).await, CloseReason::PeerClosed);
}

/// A panic of the subscriber at the beginning of a stream, when it is asked whether it wants the event, came out of `accept`.
#[tokio::test]
async fn a_subscriber_that_panics_when_it_is_asked_ends_nothing() {
    struct Refuses;

    impl<S: Subscriber> Layer<S> for Refuses {
        fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
            Interest::sometimes()
        }

        fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
            assert_ne!(metadata.target(), hangup::tracing::TARGET);
            true
        }
    }

    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Refuses));
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let accepted = support::soon("the client", listener.accept()).await;
    let (stream, _) = accepted.unwrap();
    drop(client);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

/// The warning that no connection can be accepted ended the server, if the subscriber panicked.
#[cfg(all(feature = "serve", target_os = "linux"))]
#[tokio::test]
async fn a_subscriber_that_panics_ends_no_server() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Panics));
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let duplicate = socket.try_clone().unwrap();
    let mut client = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(socket).unwrap();
    let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    let listener = MonitoredListener::from_listener(listener)
        .on_accept_error(move |error| failed.send(error.kind()).unwrap());
    let server = tokio::spawn(hangup::serve::serve(listener, axum::Router::new()).into_future());
    // The server listens before the first try to accept fails.
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    client.set_nonblocking(true).unwrap();
    let client = tokio::net::TcpStream::from_std(client).unwrap();
    support::soon("the answer", client.readable())
        .await
        .unwrap();
    rustix::net::shutdown(&duplicate, rustix::net::Shutdown::Both).unwrap();
    let kind = support::soon("the failed accept", failures.recv()).await;
    assert_eq!(kind, Some(std::io::ErrorKind::InvalidInput));
    server.abort();
}

/// An outbox tells of its connections, by its name.
#[cfg(feature = "outbox")]
#[tokio::test]
async fn an_outbox_tells_of_its_connections() {
    use hangup::outbox::{Link, Outbox, OutboxStatus};
    use std::io::ErrorKind;
    use tokio::net::TcpStream;
    use tokio_util::codec::LinesCodec;

    let (kept, _guard) = subscribe();
    let mut kinds = [ErrorKind::ConnectionRefused, ErrorKind::InvalidInput].into_iter();
    let connect = move || {
        let kind = kinds.next().unwrap_or(ErrorKind::Other);
        async move { Err::<TcpStream, _>(kind.into()) }
    };
    let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
        .name("robot")
        .spawn()
        .unwrap();
    let mut states = outbox.subscribe();
    let gave_up = |status: &OutboxStatus| matches!(status.link, Link::GaveUp(_));
    states.wait_for(gave_up).await.unwrap();
    let events = kept.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event.field("outbox") == "robot"));
    let (lost, gave_up) = (&events[0], &events[1]);
    assert_eq!(lost.level, Some(Level::INFO));
    assert_eq!(
        (lost.field("reason"), lost.field("attempt")),
        ("failed_disconnected", "1")
    );
    assert_eq!(gave_up.level, Some(Level::WARN));
    assert!(gave_up.field("message").starts_with("outbox gave up: "));
}
