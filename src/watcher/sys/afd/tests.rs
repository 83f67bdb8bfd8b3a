#![allow(unsafe_code)]

use super::super::{tick, windows as sys};
use crate::errors::CloseReason;
use crate::state::{Closed, HalfClose};
use crate::watcher::{Known, Registration, Socket};
use rustix::fd::{AsFd, AsRawFd};
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::windows::io::AsRawHandle;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

const DEADLINE: Duration = Duration::from_secs(30);

/// A stream without its methods: a socket and its registration.
struct Stream {
    // The registration ends before the socket is closed.
    _registration: Registration,
    _socket: TcpStream,
    shared: Arc<Socket>,
}

impl Stream {
    fn new(socket: TcpStream) -> Self {
        let socket_of = Socket::new(socket.as_fd(), Known::default(), HalfClose::Close, None);
        let shared = Arc::new(socket_of.unwrap());
        Self {
            _registration: Registration::new(socket.as_fd(), &shared).unwrap(),
            _socket: socket,
            shared,
        }
    }

    fn closed(&self) -> Closed {
        Closed::new(self.shared.clone())
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    (ours, peer)
}

/// The handles of this process; or how far they reach, under Wine, which counts none and gives the lowest free
/// number to a new one.
fn handles() -> usize {
    let mut count = 0;
    // SAFETY: the pseudo handle of the process is always valid, and the pointer is to a live number.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) };
    match count {
        0 => File::open("NUL").unwrap().as_raw_handle() as usize / 4,
        count => count as usize,
    }
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// Closes the peer, and tells when.
fn leave(peer: TcpStream) -> thread::JoinHandle<Instant> {
    thread::spawn(move || {
        let began = Instant::now();
        drop(peer);
        began
    })
}

const LOOKS: u64 = 51;

/// From a peer's close to its token.
async fn reports(notifier: &sys::Notifier) -> Duration {
    let (mut took, mut tokens) = (Vec::new(), Vec::new());
    for token in 0..LOOKS {
        let (ours, peer) = pair();
        notifier.add(ours.as_fd(), token, || false).unwrap();
        // The time between two closes is not in step with a tick.
        tokio::time::sleep(Duration::from_millis(token % 7)).await;
        let left = leave(peer);
        let told = tokio::time::timeout(DEADLINE, notifier.wait(&mut tokens)).await;
        let now = Instant::now();
        told.unwrap().unwrap();
        assert_eq!(std::mem::take(&mut tokens), [token]);
        took.push(now.saturating_duration_since(left.join().unwrap()));
        notifier.remove(ours.as_fd().as_raw_fd(), token);
    }
    median(took)
}

/// The peer's close wakes the task, and no tick does.
#[tokio::test]
async fn a_fin_is_reported_at_once() {
    let mut took = Vec::new();
    for _ in 0..LOOKS {
        let (ours, peer) = pair();
        let stream = Stream::new(ours);
        let left = leave(peer);
        let reason = tokio::time::timeout(DEADLINE, stream.closed()).await;
        let now = Instant::now();
        assert_eq!(reason.unwrap(), CloseReason::PeerClosed);
        took.push(now.saturating_duration_since(left.join().unwrap()));
    }
    let closed = median(took);
    let driver = reports(&sys::Notifier::Afd(super::Notifier::new().unwrap())).await;
    let tick = reports(&sys::Notifier::Tick(tick::Notifier::new().unwrap())).await;
    println!(
        "FIN to closed(): median {closed:?}; to the notifier {driver:?}, by the tick {tick:?}"
    );
    // On a busy machine they come closer.
    assert!(closed.min(driver) < tick);
}

/// Two streams of one socket are two registrations, and the end of one leaves the other.
#[tokio::test]
async fn a_socket_may_be_watched_twice() {
    let (ours, peer) = pair();
    let first = Stream::new(ours.try_clone().unwrap());
    let second = Stream::new(ours);
    drop(first);
    drop(peer);
    let reason = tokio::time::timeout(DEADLINE, second.closed()).await;
    assert_eq!(reason.unwrap(), CloseReason::PeerClosed);
}

/// Streams that end in each order, in runtimes that come and go, leave no handle behind.
#[test]
fn runtimes_leave_no_handles_behind() {
    let round = || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pairs: Vec<_> = (0..64).map(|_| pair()).collect();
            let streams: Vec<_> = pairs
                .drain(..)
                .enumerate()
                .map(|(number, (ours, mut peer))| {
                    let stream = Stream::new(ours);
                    peer.write_all(b"unread").unwrap();
                    // Some are closed by the peer, and some are dropped while they are watched.
                    (stream, (number % 2 == 0).then_some(peer))
                })
                .collect();
            tokio::task::yield_now().await;
            drop(streams);
        });
    };
    // What is made once, by winsock and by std.
    round();
    let before = handles();
    for _ in 0..50 {
        round();
    }
    // The watchers' threads end by themselves.
    let began = Instant::now();
    while handles() > before + 8 {
        assert!(
            began.elapsed() < DEADLINE,
            "{before} handles became {}",
            handles()
        );
        thread::yield_now();
    }
    println!(
        "handles: {before} before 3 200 streams in 50 runtimes, {} after",
        handles()
    );
}
