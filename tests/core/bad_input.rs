//! Bad input: each gives an `io::Error` that names what was wrong, and leaves nothing behind.

#![cfg(unix)]

use crate::support::{Pair, Tcp4, Unix, alone};
use hangup::{MonitoredListener, MonitoredStream};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use tokio::runtime::Builder;

/// Something with a descriptor's number, and nothing else.
#[derive(Debug)]
struct Numbered(RawFd);

impl AsRawFd for Numbered {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

fn refusal<S: AsRawFd + std::fmt::Debug>(io: S) -> (ErrorKind, String) {
    let error = MonitoredStream::new(io).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("hangup: "), "{message}");
    (error.kind(), message)
}

#[tokio::test]
async fn a_closed_descriptor() {
    // A number above any that this program has open.
    let (_, message) = refusal(Numbered(1_000_000));
    assert!(message.contains("it is closed"), "{message}");
}

#[tokio::test]
async fn a_number_that_is_no_descriptor() {
    let (kind, message) = refusal(Numbered(-1));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(message.contains("no open descriptor"), "{message}");
}

#[tokio::test]
async fn a_file() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let (_, message) = refusal(file);
    assert!(message.contains("not a socket"), "{message}");
}

#[cfg(not(hangup_fallback))]
#[tokio::test]
async fn a_socket_that_is_watched_already() {
    let (ours, mut peer) = Unix::pair();
    let stream = MonitoredStream::new(ours).unwrap();
    let (kind, message) = refusal(Numbered(stream.as_raw_fd()));
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert!(message.contains("another MonitoredStream"), "{message}");
    // The first one is watched still.
    peer.set_nonblocking(true).unwrap();
    assert_eq!(
        peer.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(peer);
    let reason = crate::support::soon("the close", stream.closed()).await;
    assert_eq!(reason, hangup::CloseReason::PeerClosed);
}

#[test]
fn no_runtime() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (ours, _peer) = runtime.block_on(async { Tcp4::pair() });
    let (kind, message) = refusal(ours);
    assert_eq!(kind, ErrorKind::NotConnected);
    assert!(message.contains("runtime"), "{message}");
}

#[cfg(not(hangup_fallback))]
#[test]
fn a_runtime_without_io() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (ours, mut peer) = runtime.block_on(async { Tcp4::pair() });
    let without = Builder::new_current_thread().build().unwrap();
    let _context = without.enter();
    let (kind, message) = refusal(ours);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(message.contains("enable_io"), "{message}");
    // The stream that was refused is closed.
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

/// The first connection of a runtime finds no descriptor left for the watcher's epoll, and the next one,
/// when there is room again, is served. In a process of its own, for the limit is the process's.
#[cfg(not(hangup_fallback))]
#[test]
fn the_descriptor_limit() {
    if !alone("bad_input::the_descriptor_limit") {
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (first, second) = (Tcp4::pair(), Tcp4::pair());
        let limit = Rlimit {
            current: Some(64),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        let hoard: Vec<_> =
            std::iter::from_fn(|| rustix::io::dup(listener.get_ref()).ok()).collect();
        assert!(!hoard.is_empty());

        let (kind, message) = refusal(first.0);
        // EMFILE has no kind of its own.
        assert_ne!(kind, ErrorKind::Other);
        assert!(message.contains("epoll"), "{message}");
        drop(hoard);
        let stream = MonitoredStream::new(second.0).unwrap();

        // And the listener: an error, no panic, and the next connection comes.
        let client = std::net::TcpStream::connect(address).unwrap();
        let hoard: Vec<_> =
            std::iter::from_fn(|| rustix::io::dup(listener.get_ref()).ok()).collect();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        drop(hoard);
        let (_accepted, from) = listener.accept().await.unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        drop(second.1);
        let reason = crate::support::soon("the close", stream.closed()).await;
        assert_eq!(reason, hangup::CloseReason::PeerClosed);
    });
}

/// A descriptor that the user closes behind the stream's back does no harm.
#[tokio::test]
async fn a_descriptor_closed_behind_our_back() {
    let (ours, peer) = Unix::pair();
    let std = ours.into_std().unwrap();
    let raw = std.into_raw_fd();
    let stream = MonitoredStream::new(Numbered(raw)).unwrap();
    let monitor = stream.monitor();
    nix::unistd::close(raw).unwrap();
    drop(peer);
    drop(stream);
    assert!(monitor.is_closed());
}
