//! Bad input: each gives an `io::Error` that names what was wrong, and leaves nothing behind.

#![cfg(unix)]

use crate::support::{Pair, Tcp4, Unix, alone};
use hangup::{MonitoredListener, MonitoredStream};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use tokio::runtime::Builder;

fn refusal<S: AsFd + std::fmt::Debug>(io: S) -> (ErrorKind, String) {
    let error = MonitoredStream::new(io).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("hangup: "), "{message}");
    (error.kind(), message)
}

#[tokio::test]
async fn a_file() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let (_, message) = refusal(file);
    let expected = match cfg!(hangup_fallback) {
        true => "no socket",
        false => "cannot watch a file",
    };
    assert!(message.contains(expected), "{message}");
}

/// The other watchers cannot watch what its owner may close at any time.
#[cfg(any(not(target_os = "linux"), hangup_fallback))]
#[tokio::test]
async fn a_borrowed_descriptor() {
    let (ours, _peer) = Tcp4::pair();
    let error = hangup::WatchOnly::new(&ours).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(message.contains("only Linux can watch"), "{message}");
}

#[cfg(not(hangup_fallback))]
#[tokio::test]
async fn a_device() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let (kind, message) = refusal(null);
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(message.contains("cannot watch a device"), "{message}");
}

#[cfg(not(hangup_fallback))]
#[tokio::test]
async fn a_terminal() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let (kind, message) = refusal(terminal.slave);
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(message.contains("cannot watch a terminal"), "{message}");
    assert!(message.contains("SIGHUP"), "{message}");
}

#[cfg(not(hangup_fallback))]
#[tokio::test]
async fn a_listener() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unix = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    for (kind, message) in [refusal(tcp), refusal(unix)] {
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(message.contains("cannot watch a listener"), "{message}");
        assert!(message.contains("MonitoredListener"), "{message}");
    }
}

#[tokio::test]
async fn a_datagram_socket() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for (kind, message) in [refusal(udp), refusal(unix)] {
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(
            message.contains("cannot watch a datagram socket"),
            "{message}"
        );
    }
}

/// A FIFO's was refused with a bare EBADF, and a socket's as a datagram socket.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn a_name_in_the_file_system() {
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    let folder = tempfile::tempdir().unwrap();
    let (socket, fifo) = (folder.path().join("socket"), folder.path().join("fifo"));
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for path in [socket, fifo] {
        // The standard library's `custom_flags` drop O_PATH with musl, which counts it to O_ACCMODE.
        let name = open(&path, OFlag::O_PATH, Mode::empty()).unwrap();
        let (kind, message) = refusal(name);
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(message.contains("O_PATH"), "{message}");
    }
}

#[cfg(not(hangup_fallback))]
#[tokio::test]
async fn a_socket_that_is_watched_already() {
    let (ours, mut peer) = Unix::pair();
    let stream = MonitoredStream::new(ours).unwrap();
    let (kind, message) = refusal(stream.as_fd());
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
    assert!(
        message.contains("watched by the runtime in which it is created"),
        "{message}"
    );
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
