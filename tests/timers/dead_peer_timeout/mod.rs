//! Silent death: the peer vanishes without a word, and the system's timers tell within the bound and
//! not before it. The hosts are network namespaces with a router between them.
//!
//! Each test prints what it measured: `cargo test --test timers dead_peer_timeout -- --nocapture`.

mod netns;
mod watch_only;

use crate::support::{Pair, Tcp4, Tcp6, Unix, reason, soon};
use hangup::{CloseReason, Monitor, MonitorConfig, MonitoredStream};
use netns::{Network, Timer};
use socket2::SockRef;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, timeout};

const WITHIN: Duration = Duration::from_secs(6);
/// What the documentation derives from it.
const PATIENCE: Duration = Duration::from_secs(4);
/// How much later than promised a busy machine may be.
const ROOM: Duration = Duration::from_secs(5);
/// Two jiffies of a slow kernel (HZ = 100): its clocks tick, ours does not.
const TICKS: Duration = Duration::from_millis(20);

fn config() -> MonitorConfig {
    MonitorConfig::new().dead_peer_timeout(WITHIN)
}

/// A way to lose the peer, and to have it back.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Packets vanish on their way. Nobody says so.
    Lost,
    /// The peer's cable is pulled: the router says that the network is unreachable.
    PeerUnplugged,
    /// Our own cable is pulled: our link loses its carrier.
    WeUnplugged,
}

use Cut::{Lost, PeerUnplugged, WeUnplugged};

impl Cut {
    fn cut(self, network: &Network) {
        match self {
            Lost => network.lose_packets(),
            PeerUnplugged => network.unplug_peer(),
            WeUnplugged => network.unplug_us(),
        }
    }

    /// The bound with something to send.
    fn bound(self) -> Duration {
        match self {
            Lost => WITHIN,
            // The network's own answers set the timer anew.
            PeerUnplugged | WeUnplugged => WITHIN + PATIENCE / 2,
        }
    }

    fn mend(self, network: &Network) {
        match self {
            Lost => network.forward_packets(),
            PeerUnplugged => network.plug_peer(),
            WeUnplugged => network.plug_us(),
        }
    }
}

/// A connection to a peer that may vanish.
struct Connection {
    network: Network,
    stream: MonitoredStream<TcpStream>,
    peer: std::net::TcpStream,
    monitor: Monitor,
    port: u16,
    /// The peer has not been heard of before.
    start: Instant,
}

/// `None` where there are no namespaces, which has been said then.
fn connect() -> Option<Connection> {
    let network = Network::new()?;
    let start = Instant::now();
    let (ours, peer) = network.pair();
    let port = ours.local_addr().unwrap().port();
    let stream = MonitoredStream::with_config(ours, &config()).unwrap();
    Some(Connection {
        network,
        monitor: stream.monitor(),
        stream,
        peer,
        port,
        start,
    })
}

/// Waits until the peer's window is zero for good, and tells since when: our kernel asks for room, and
/// the answer is no. The first question may still find some, less than a segment.
async fn window_is_closed(network: &Network, port: u16) -> Instant {
    soon("a zero window", async {
        let mut look = interval(Duration::from_millis(5));
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            look.tick().await;
            // The look itself may take a while, and the window may be closed meanwhile.
            let before = Instant::now();
            if network.timer(port) != Timer::WindowProbe {
                since = before;
            }
        }
        since
    })
    .await
}

/// Waits for the close, which must come after the patience and within the bound, measured from
/// `start`.
async fn measured(what: &str, monitor: &Monitor, start: Instant, within: Duration) -> CloseReason {
    let reason = reason(monitor).await;
    let after = start.elapsed();
    println!("{what}: {reason} after {:.2} s", after.as_secs_f64());
    assert!(after + TICKS >= PATIENCE, "{what}: {after:?}");
    assert!(after <= within + ROOM, "{what}: {after:?}");
    reason
}

/// The stream stays open for this time.
async fn stays_open(what: &str, monitor: &Monitor, time: Duration) {
    if let Ok(reason) = timeout(time, monitor.closed()).await {
        panic!("{what}: {reason}");
    }
}

/// A task whose read waits for the peer.
fn reader(mut stream: impl AsyncReadExt + Unpin + Send + 'static) -> JoinHandle<io::Result<usize>> {
    tokio::spawn(async move { stream.read(&mut [0; 16]).await })
}

/// A task that writes until it fails, and returns the error.
fn writer(mut stream: MonitoredStream<TcpStream>) -> JoinHandle<io::Error> {
    tokio::spawn(async move {
        loop {
            if let Err(error) = stream.write_all(&[b'x'; 65_536]).await {
                return error;
            }
        }
    })
}

/// What a reader that waited has found must mean `reason`, and be the system's own error.
async fn read_failed(reader: JoinHandle<io::Result<usize>>, reason: &CloseReason) {
    let error = soon("the reader", reader).await.unwrap().unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error:?}");
    assert_eq!(CloseReason::from(&error), *reason, "{error:?}");
    if *reason == CloseReason::TimedOut {
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    }
}

/// Runs the cases at the same time.
async fn all<F: Future<Output = ()> + Send + 'static>(cases: impl IntoIterator<Item = F>) {
    let mut running: JoinSet<()> = cases.into_iter().collect();
    while let Some(done) = running.join_next().await {
        if let Err(error) = done {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Only a network that answers in the peer's place makes it unreachable.
fn fits(cut: Cut, reason: &CloseReason) {
    match cut {
        Lost => assert_eq!(*reason, CloseReason::TimedOut),
        PeerUnplugged | WeUnplugged => assert!(
            matches!(reason, CloseReason::TimedOut | CloseReason::Unreachable),
            "{cut:?}: {reason}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_peer_vanishes_while_idle() {
    all([Lost, PeerUnplugged, WeUnplugged].map(idle)).await;
}

async fn idle(cut: Cut) {
    let Some(connection) = connect() else { return };
    let (read, _write) = split(connection.stream);
    let reader = reader(read);
    cut.cut(&connection.network);
    let what = format!("idle, {cut:?}");
    let reason = measured(&what, &connection.monitor, connection.start, WITHIN).await;
    fits(cut, &reason);
    read_failed(reader, &reason).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_peer_vanishes_with_data_in_flight() {
    all([Lost, PeerUnplugged, WeUnplugged].map(in_flight)).await;
}

async fn in_flight(cut: Cut) {
    let Some(connection) = connect() else { return };
    let (read, mut write) = split(connection.stream);
    let reader = reader(read);
    cut.cut(&connection.network);
    let start = Instant::now();
    soon("a write", write.write_all(&[b'x'; 10_000]))
        .await
        .unwrap();
    let what = format!("in flight, {cut:?}");
    let reason = measured(&what, &connection.monitor, start, cut.bound()).await;
    fits(cut, &reason);
    read_failed(reader, &reason).await;
    assert_eq!(connection.monitor.transfer().accepted, 10_000);
}

/// A reader that waits and the watcher are woken together by an error that the socket tells once. Many
/// pairs of them race: all tell of the same error.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reader_and_watcher_tell_the_same() {
    const RACES: usize = 200;
    let Some(network) = Network::new() else {
        return;
    };
    let mut races = Vec::new();
    for _ in 0..RACES {
        let (ours, peer) = network.pair();
        let stream = MonitoredStream::with_config(ours, &config()).unwrap();
        let monitor = stream.monitor();
        let (read, write) = split(stream);
        races.push((monitor, reader(read), write, peer));
    }
    Lost.cut(&network);
    for (_, _, write, _) in &mut races {
        soon("a write", write.write_all(b"x")).await.unwrap();
    }
    for (monitor, reader, _write, _peer) in races {
        assert_eq!(reason(&monitor).await, CloseReason::TimedOut);
        read_failed(reader, &CloseReason::TimedOut).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_peer_vanishes_with_a_zero_window() {
    all([Some(Lost), Some(PeerUnplugged), Some(WeUnplugged), None].map(zero_window)).await;
}

/// `None`: the peer stays, and reads nothing for longer than the bound.
async fn zero_window(cut: Option<Cut>) {
    let Some(mut connection) = connect() else {
        return;
    };
    let writer = writer(connection.stream);
    let start = window_is_closed(&connection.network, connection.port).await;
    if let Some(cut) = cut {
        cut.cut(&connection.network);
    }
    let what = match cut {
        Some(cut) => format!("zero window, {cut:?}"),
        None => "zero window, alive".to_owned(),
    };
    let within = cut.unwrap_or(Lost).bound();
    let reason = measured(&what, &connection.monitor, start, within).await;
    fits(cut.unwrap_or(Lost), &reason);
    let error = soon("the blocked writer", writer).await.unwrap();
    assert_eq!(CloseReason::from(&error), reason, "{error:?}");
    connection.peer.set_nonblocking(true).unwrap();
    let mut first = [0; 16];
    io::Read::read_exact(&mut connection.peer, &mut first).unwrap();
    assert_eq!(&first, &[b'x'; 16]);
}

/// What is written while the idle clock runs starts the other one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_write_waits_anew() {
    let Some(connection) = connect() else { return };
    let mut stream = connection.stream;
    Lost.cut(&connection.network);
    stays_open("idle", &connection.monitor, PATIENCE * 3 / 4).await;
    let start = Instant::now();
    soon("a write", stream.write_all(b"late")).await.unwrap();
    let what = "idle, then in flight";
    let reason = measured(what, &connection.monitor, start, WITHIN).await;
    assert_eq!(reason, CloseReason::TimedOut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_that_comes_back_kills_nothing() {
    tokio::join!(
        all([Lost, PeerUnplugged, WeUnplugged].map(back_while_idle)),
        all([Lost, PeerUnplugged, WeUnplugged].map(back_with_data_in_flight)),
    );
}

/// Before the last probe. Then the stream carries data, and stays open for longer than the bound.
async fn back_while_idle(cut: Cut) {
    let Some(connection) = connect() else { return };
    cut.cut(&connection.network);
    stays_open("cut", &connection.monitor, PATIENCE / 2).await;
    cut.mend(&connection.network);
    stays_open("mended", &connection.monitor, WITHIN).await;
    delivers(connection).await;
}

/// Before the retransmission in the middle of the patience.
async fn back_with_data_in_flight(cut: Cut) {
    let Some(mut connection) = connect() else {
        return;
    };
    cut.cut(&connection.network);
    soon("a write", connection.stream.write_all(&[b'x'; 10_000]))
        .await
        .unwrap();
    stays_open("cut", &connection.monitor, PATIENCE / 4).await;
    cut.mend(&connection.network);
    stays_open("mended", &connection.monitor, WITHIN).await;
    delivers(connection).await;
}

/// What was written before and what is written now arrives at the peer, and then the peer leaves.
async fn delivers(connection: Connection) {
    let mut stream = connection.stream;
    soon("a write", stream.write_all(b"the last"))
        .await
        .unwrap();
    soon("our shutdown", stream.shutdown()).await.unwrap();
    let sent = connection.monitor.transfer().accepted;
    let mut peer = connection.peer;
    let received = tokio::task::spawn_blocking(move || {
        let mut received = Vec::new();
        io::Read::read_to_end(&mut peer, &mut received).unwrap();
        received
    });
    let received = soon("the data", received).await.unwrap();
    assert_eq!(received.len() as u64, sent);
    assert!(received.ends_with(b"the last"));
    assert_eq!(reason(&connection.monitor).await, CloseReason::Finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_answers_lives() {
    tokio::join!(an_idle_peer(), a_reader_that_pauses(), a_slow_reader());
}

/// It is asked every second, and answers.
async fn an_idle_peer() {
    let Some(connection) = connect() else { return };
    stays_open("idle", &connection.monitor, WITHIN + PATIENCE / 2).await;
    delivers(connection).await;
}

/// Its window is zero for less than the patience, again and again.
async fn a_reader_that_pauses() {
    let Some(connection) = connect() else { return };
    let writer = writer(connection.stream);
    let mut peer = to_tokio(connection.peer);
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..3 {
        let since = window_is_closed(&connection.network, connection.port).await;
        let pause = (PATIENCE * 3 / 4).saturating_sub(since.elapsed());
        stays_open("a pause", &connection.monitor, pause).await;
        // More than the peer's kernel holds, so that the window has been open.
        let mut left = 64 << 20;
        soon("the data", async {
            while left > 0 {
                let bytes = peer.read(&mut buffer).await.unwrap();
                assert!(bytes > 0);
                left -= bytes.min(left);
            }
        })
        .await;
    }
    leaves(peer, writer, &connection.monitor).await;
}

/// It reads all the time, but so slowly that its window is zero nearly always.
async fn a_slow_reader() {
    let Some(connection) = connect() else { return };
    let writer = writer(connection.stream);
    let mut peer = to_tokio(connection.peer);
    let (mut looks, mut zero_windows) = (0, 0);
    let start = Instant::now();
    let mut pace = interval(Duration::from_millis(250));
    while start.elapsed() < WITHIN + PATIENCE / 2 {
        pace.tick().await;
        assert_eq!(connection.monitor.close_reason(), None);
        looks += 1;
        if connection.network.timer(connection.port) == Timer::WindowProbe {
            zero_windows += 1;
        }
        soon("the data", peer.read_exact(&mut [0; 16_384]))
            .await
            .unwrap();
    }
    println!("64 KiB a second: open, with a zero window in {zero_windows} of {looks} looks");
    assert!(zero_windows > looks / 2, "{zero_windows} of {looks}");
    leaves(peer, writer, &connection.monitor).await;
}

fn to_tokio(peer: std::net::TcpStream) -> TcpStream {
    peer.set_nonblocking(true).unwrap();
    TcpStream::from_std(peer).unwrap()
}

/// The peer closes with unread data, which is a reset: the connection has lived up to here.
async fn leaves(peer: TcpStream, writer: JoinHandle<io::Error>, monitor: &Monitor) {
    assert_eq!(monitor.close_reason(), None);
    soon("unread data", peer.peek(&mut [0])).await.unwrap();
    drop(peer);
    assert_eq!(reason(monitor).await, CloseReason::Reset);
    let error = soon("the writer", writer).await.unwrap();
    assert_eq!(CloseReason::from(&error), CloseReason::Reset);
}

/// The socket's options: keepalive and its three numbers, and the user timeout.
fn options(socket: &impl std::os::fd::AsFd) -> (bool, Duration, Duration, u32, Option<Duration>) {
    let socket = SockRef::from(socket);
    (
        socket.keepalive().unwrap(),
        socket.tcp_keepalive_time().unwrap(),
        socket.tcp_keepalive_interval().unwrap(),
        socket.tcp_keepalive_retries().unwrap(),
        socket.tcp_user_timeout().unwrap(),
    )
}

#[tokio::test]
async fn the_options_are_set_if_asked_for_and_stay() {
    let second = Duration::from_secs(1);
    for pair in [Tcp4::pair, Tcp6::pair] {
        let (ours, _peer) = pair();
        let bare = options(&ours);
        let stream = MonitoredStream::new(ours).unwrap();
        assert_eq!(options(stream.get_ref()), bare);
        let off = config().dead_peer_timeout(None);
        let stream = MonitoredStream::with_config(stream.into_inner(), &off).unwrap();
        assert_eq!(options(stream.get_ref()), bare);

        let stream = MonitoredStream::with_config(stream.into_inner(), &config()).unwrap();
        let set = (true, second, second, 3, Some(PATIENCE));
        assert_eq!(options(stream.get_ref()), set);
        assert_eq!(options(&stream.into_inner()), set);
    }
}

#[tokio::test]
async fn a_day_is_the_most_that_the_kernel_takes() {
    let (ours, _peer) = Tcp4::pair();
    let config = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(86_400));
    let stream = MonitoredStream::with_config(ours, &config).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(
        options(stream.get_ref()),
        (
            true,
            seconds(32_400),
            seconds(8_100),
            4,
            Some(seconds(64_800))
        )
    );
}

#[tokio::test]
async fn absurd_times_are_invalid_for_any_socket() {
    for within in [
        Duration::ZERO,
        Duration::from_millis(500),
        Duration::from_millis(3_999),
        Duration::from_secs(86_401),
        Duration::MAX,
    ] {
        let config = MonitorConfig::new().dead_peer_timeout(within);
        let tcp = MonitoredStream::with_config(Tcp4::pair().0, &config).map(drop);
        let unix = MonitoredStream::with_config(Unix::pair().0, &config).map(drop);
        for refused in [tcp, unix] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{within:?}");
            assert!(error.to_string().contains("dead_peer_timeout"), "{error}");
        }
    }
}

/// Its peer cannot vanish without a word.
#[tokio::test]
async fn a_unix_socket_is_left_as_it_is() {
    let (ours, peer) = Unix::pair();
    let stream = MonitoredStream::with_config(ours, &config()).unwrap();
    assert!(!SockRef::from(stream.get_ref()).keepalive().unwrap());
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}
