//! The watcher against real sockets in numbers, its runtimes, and what it costs.
//!
//! The numbers in comments are those of the invariants in `docs/architecture.md`.

#![cfg(unix)]

use crate::support::{Pair, Tcp4, Unix, alone, reason, soon, watched};
use futures::FutureExt;
use futures_test::task::new_count_waker;
use hangup::{CloseReason, Monitor, MonitoredStream, Status};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::task::Context;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_test::assert_pending;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Ten thousand quick rounds on a handful of descriptors, the monitors of all the past ones kept: none
/// is ever told of another connection's end, and a living one is told of none of theirs.
#[tokio::test]
async fn a_reused_descriptor_is_another_connection() {
    // Other tests open and close descriptors, too.
    if !alone("watcher::a_reused_descriptor_is_another_connection") {
        return;
    }
    let mut monitors = Vec::new();
    let mut uses: HashMap<i32, usize> = HashMap::new();
    for round in 0..10_000 {
        let (stream, peer) = watched::<Unix>();
        *uses.entry(stream.as_raw_fd()).or_default() += 1;
        let monitor = stream.monitor();
        let expected = match round % 4 {
            // Ours first, then the peer: a FIN for a number that is nobody's, or somebody else's.
            0 => {
                drop(stream);
                drop(peer);
                CloseReason::Dropped
            }
            // The peer first, and the watcher has not heard of it when the number is given back.
            1 => {
                drop(peer);
                drop(stream);
                CloseReason::Dropped
            }
            // The watcher has heard of it.
            2 => {
                drop(peer);
                soon("the close", monitor.closed()).await;
                drop(stream);
                CloseReason::PeerClosed
            }
            // The peer leaves while the number is taken over.
            _ => {
                let closer = std::thread::spawn(move || drop(peer));
                drop(stream);
                closer.join().unwrap();
                CloseReason::Dropped
            }
        };
        let (living, living_peer) = watched::<Unix>();
        assert_eq!(
            monitor.probe(),
            Status::Closed(expected.clone()),
            "round {round}"
        );
        assert_eq!(living.monitor().probe(), Status::Open, "round {round}");
        drop((living, living_peer));
        monitors.push((monitor, expected));
    }
    for (monitor, expected) in monitors {
        assert_eq!(monitor.close_reason(), Some(expected));
    }
    assert!(
        uses.values().any(|uses| *uses > 1000),
        "no descriptor was reused: {uses:?}"
    );
}

/// The same with the peers' closes coming from another thread at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_reused_descriptor_under_fire() {
    let (leave, leaving) = std::sync::mpsc::channel::<std::os::unix::net::UnixStream>();
    let closer = std::thread::spawn(move || leaving.into_iter().for_each(drop));
    let (steady, steady_peer) = watched::<Unix>();
    let mut monitors = Vec::new();
    for _ in 0..10_000 {
        let (stream, peer) = watched::<Unix>();
        monitors.push(stream.monitor());
        leave.send(peer).unwrap();
        drop(stream);
    }
    drop(leave);
    closer.join().unwrap();
    for monitor in monitors {
        let reason = monitor.close_reason();
        // Its own peer's close, if the watcher was quick; never a reset or another's anything.
        assert!(
            matches!(reason, Some(CloseReason::Dropped | CloseReason::PeerClosed)),
            "{reason:?}"
        );
    }
    assert_eq!(steady.monitor().status(), Status::Open);
    drop(steady_peer);
    assert_eq!(reason(&steady.monitor()).await, CloseReason::PeerClosed);
}

const STORM: usize = 10_000;

/// As many as a listener's backlog holds: more would be left to TCP's retransmissions.
const BATCH: usize = 100;

/// The peers of `everybody_leaves_at_once`, in a process of their own: a process that is killed leaves
/// with all of its connections at once.
#[test]
#[ignore = "the peers of everybody_leaves_at_once, which starts it"]
fn peers_of_the_storm() {
    let Ok(address) = std::env::var("HANGUP_STORM") else {
        println!("skipped: it is started by everybody_leaves_at_once");
        return;
    };
    raise_the_descriptor_limit();
    let mut peers = Vec::new();
    // Each byte on the standard input asks for another batch; its end, for the end.
    while std::io::stdin().read_exact(&mut [0]).is_ok() {
        peers.extend((0..BATCH).map(|_| std::net::TcpStream::connect(&address).unwrap()));
    }
}

/// To the hard limit: most systems' soft limit is 1024.
fn raise_the_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: hard,
        maximum: hard,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    hard.unwrap_or(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_leaves_at_once() {
    let limit = raise_the_descriptor_limit();
    if limit < STORM as u64 + 200 {
        println!("skipped: {STORM} connections do not fit into the limit of {limit} descriptors");
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peers = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "watcher::peers_of_the_storm", "--ignored"])
        .env("HANGUP_STORM", listener.local_addr().unwrap().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut streams = Vec::new();
    while streams.len() < STORM {
        peers.stdin.as_mut().unwrap().write_all(b".").unwrap();
        for _ in 0..BATCH {
            let (ours, _) = soon("a connection", listener.accept()).await.unwrap();
            streams.push(MonitoredStream::new(ours).unwrap());
        }
    }
    let mut observers: Vec<_> = streams
        .iter()
        .map(|stream| {
            let ((waker, wakes), mut closed) = (new_count_waker(), stream.closed());
            assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
            (wakes, closed, stream.monitor().subscribe())
        })
        .collect();

    peers.kill().unwrap();
    peers.wait().unwrap();
    for stream in &streams {
        let told = soon("every monitor to be told", stream.closed()).await;
        assert_eq!(told, CloseReason::PeerClosed);
    }
    // Each exactly once.
    for (wakes, closed, watch) in &mut observers {
        assert_eq!(*wakes, 1);
        assert_eq!(closed.now_or_never(), Some(CloseReason::PeerClosed));
        // A thread publishes, last.
        soon("a publication", watch.changed()).await.unwrap();
        assert!(!watch.has_changed().unwrap());
    }
}

/// (7) Data wakes no watcher. The stream's own readiness belongs to one runtime and the watcher to
/// another, whose worker must sleep through it all. `watch` is called in the latter.
pub(crate) fn sleeps_through_data<S: AsyncRead + Unpin, Handle>(
    watch: impl FnOnce(TcpStream) -> (S, Handle, Monitor),
) {
    let io = current_thread();
    let watching = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_io()
        .build()
        .unwrap();
    let (ours, mut peer) = {
        let _context = io.enter();
        Tcp4::pair()
    };
    let (mut stream, _handle, monitor) = {
        let _context = watching.enter();
        watch(ours)
    };
    let metrics = watching.metrics();
    // The watcher's task has had its first poll, and the worker sleeps.
    io.block_on(soon("the worker to sleep", async {
        let mut parked = (0, 0);
        while parked.1 < 100 {
            tokio::task::yield_now().await;
            let now = metrics.worker_park_count(0);
            parked = if now == parked.0 && now > 0 {
                (now, parked.1 + 1)
            } else {
                (now, 0)
            };
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }));
    let before = metrics.worker_park_count(0);
    io.block_on(async {
        for message in 0..10_000_u32 {
            peer.write_all(&message.to_be_bytes()).unwrap();
            assert_eq!(soon("a message", stream.read_u32()).await.unwrap(), message);
        }
    });
    if cfg!(hangup_fallback) {
        println!("skipped: the fallback watcher ticks");
    } else {
        // The first park may be late on a busy machine. Data would wake it thousands of times.
        let woken = metrics.worker_park_count(0) - before;
        assert!(woken < 100, "woken {woken} times");
    }
    // It was no dead watcher that slept.
    drop(peer);
    assert_eq!(io.block_on(reason(&monitor)), CloseReason::PeerClosed);
}

#[test]
fn incoming_data_does_not_wake_the_watcher() {
    sleeps_through_data(|ours| {
        let stream = MonitoredStream::new(ours).unwrap();
        let monitor = stream.monitor();
        (stream, (), monitor)
    });
}

/// (7) A thousand idle connections: no task, no descriptor of ours, no timer.
#[tokio::test]
async fn an_idle_connection_costs_no_task_and_no_descriptor() {
    if !alone("watcher::an_idle_connection_costs_no_task_and_no_descriptor") {
        return;
    }
    let (first, _peer) = watched::<Unix>();
    let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let tasks = Handle::current().metrics().num_alive_tasks();
    let bare: Vec<_> = (0..1000).map(|_| Unix::pair()).collect();
    let Ok(descriptors) = open() else {
        println!("skipped: /proc/self/fd is not to be had here");
        return;
    };
    let watched: Vec<_> = bare
        .into_iter()
        .map(|(ours, peer)| (MonitoredStream::new(ours).unwrap(), peer))
        .collect();
    let monitors: Vec<_> = watched.iter().map(|(stream, _)| stream.monitor()).collect();
    assert_eq!(open().unwrap(), descriptors);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    assert!(
        monitors
            .iter()
            .all(|monitor| monitor.status() == Status::Open)
    );
    drop(first);
}

/// (8) Two runtimes: the one that watches goes first.
#[test]
fn a_runtime_is_dropped_with_live_monitors() {
    for flavor in [Builder::new_current_thread, || Builder::new_multi_thread()] {
        let runtime = flavor().enable_all().build().unwrap();
        let (stream, mut peer) = {
            let _context = runtime.enter();
            watched::<Tcp4>()
        };
        let monitor = stream.monitor();
        let ((waker, wakes), mut closed) = (new_count_waker(), monitor.closed());
        assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
        drop(runtime);
        assert_eq!(wakes, 1);
        let told = current_thread().block_on(reason(&monitor));
        assert_eq!(told, CloseReason::RuntimeShutdown);
        // The stream lives on until it is dropped: the peer has not been left yet.
        peer.set_nonblocking(true).unwrap();
        let error = peer.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        drop(stream);
        peer.set_nonblocking(false).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

/// (8) A runtime that is dropped with the task that owns the stream.
#[test]
fn a_runtime_is_dropped_with_the_stream_in_it() {
    let runtime = current_thread();
    let (monitor, mut peer) = runtime.block_on(async {
        let (mut stream, peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        tokio::spawn(async move {
            let _ = stream.read(&mut [0]).await;
        });
        tokio::task::yield_now().await;
        (monitor, peer)
    });
    drop(runtime);
    assert!(monitor.close_reason().unwrap().is_local());
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_stream_is_moved_to_another_runtime() {
    let made_in = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (mut stream, mut peer) = made_in.block_on(async { watched::<Tcp4>() });
    let moved_to = current_thread();
    moved_to.block_on(async {
        soon("a write", stream.write_all(b"from elsewhere"))
            .await
            .unwrap();
        let mut heard = [0; 14];
        peer.read_exact(&mut heard).unwrap();
        drop(peer);
        assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    });
}

/// Watchers go with their runtimes: each of them has an epoll and a place in the registry.
#[test]
fn a_thousand_runtimes_leave_nothing_behind() {
    if !alone("watcher::a_thousand_runtimes_leave_nothing_behind") {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let round = || {
        current_thread().block_on(async {
            let (stream, peer) = watched::<Unix>();
            drop(peer);
            let reason = soon("the close", stream.closed()).await;
            assert_eq!(reason, CloseReason::PeerClosed);
        });
    };
    // The first one leaves tokio's signal handling behind, which is the process's.
    round();
    let Ok(before) = open() else {
        println!("skipped: /proc/self/fd is not to be had here");
        return;
    };
    for _ in 0..1000 {
        round();
    }
    assert_eq!(open().unwrap(), before);
}

/// (4) A time stamp in the error queue raises EPOLLERR on a healthy connection.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn the_error_queue_is_no_hang_up() {
    use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt::Timestamping};
    use rustix::event::{PollFd, PollFlags, poll};
    use tokio_test::task;
    let (mut stream, mut peer) = watched::<Tcp4>();
    let mut closed = task::spawn(stream.closed());
    assert_pending!(closed.poll());
    let flags = TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(stream.get_ref(), Timestamping, &flags).unwrap();
    soon("a write", stream.write_all(b"stamped")).await.unwrap();
    let mut heard = [0; 7];
    peer.read_exact(&mut heard).unwrap();
    // The alarm is there, and it is a false one.
    let mut polled = [PollFd::new(stream.get_ref(), PollFlags::empty())];
    let deadline = crate::support::DEADLINE.try_into().unwrap();
    assert_eq!(poll(&mut polled, Some(&deadline)).unwrap(), 1);
    assert!(polled[0].revents().contains(PollFlags::ERR));
    assert_eq!(stream.monitor().probe(), Status::Open);
    assert_eq!(
        SockRef::from(stream.get_ref())
            .take_error()
            .unwrap()
            .map(|_| ()),
        None
    );
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closed.is_woken());
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}
