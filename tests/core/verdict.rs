//! Which reason a stream tells when several parties learn of its end, in whatever order.

#![cfg(target_os = "linux")]

use crate::support::{Pair, Peer, Tcp4, Unix, reason, soon, until};
use hangup::{CloseReason, HalfClose, Monitor, MonitorConfig, MonitoredStream, Status, WatchOnly};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use rustix::event::PollFlags;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

type Peer4 = std::net::TcpStream;

/// A stream that is probed from another thread in the middle of each write, and of each read that fails.
struct Probed {
    io: TcpStream,
    monitor: Arc<Mutex<Option<Monitor>>>,
}

impl Probed {
    /// A stream whose connection was reset. It has not told its end yet.
    async fn reset() -> MonitoredStream<Self> {
        let (io, peer) = Tcp4::pair();
        let cell = Arc::new(Mutex::new(None));
        let monitor = cell.clone();
        let stream = MonitoredStream::new(Self { io, monitor }).unwrap();
        *cell.lock().unwrap() = Some(stream.monitor());
        stream.get_ref().io.writable().await.unwrap();
        peer.reset();
        until(&stream, PollFlags::HUP);
        stream
    }

    fn probe(&self) {
        let monitor = self.monitor.lock().unwrap().clone().unwrap();
        thread::spawn(move || monitor.probe()).join().unwrap();
    }
}

impl AsFd for Probed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for Probed {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

impl AsyncRead for Probed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(Err(_)) = polled {
            self.probe();
        }
        polled
    }
}

impl AsyncWrite for Probed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.probe();
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The probe takes the socket's error, and the write then finds a broken pipe: it was a reset all the same.
#[tokio::test]
async fn a_write_behind_a_probe_returns_the_stored_error() {
    let mut ours = Probed::reset().await;
    let error = ours.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

/// The read takes the socket's error, and the probe then finds a connection that is closed without one. It must not conclude
/// that the next read has to return it.
#[tokio::test]
async fn a_probe_behind_a_read_adds_no_second_error() {
    let mut ours = Probed::reset().await;
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

/// A connection that was reset, whose error somebody else was given.
async fn reset_without_an_error() -> MonitoredStream<TcpStream> {
    let (ours, peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    ours.get_ref().writable().await.unwrap();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let error = SockRef::from(ours.get_ref()).take_error().unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
    ours
}

/// The same where the error was given to somebody else: a sendfile(2) that has sent a part, or the program.
#[tokio::test]
async fn a_write_finds_a_reset_without_its_error() {
    let mut ours = reset_without_an_error().await;
    let error = ours.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

/// What was received may be incomplete, so a read must not report an end of file.
#[tokio::test]
async fn a_read_finds_a_reset_without_its_error() {
    let mut ours = reset_without_an_error().await;
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

/// The watcher finds it, and the next read or write gets the error.
#[tokio::test]
async fn the_watcher_finds_a_reset_without_its_error() {
    let mut ours = reset_without_an_error().await;
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
}

/// A reset after a FIN is the same close, whether or not the error is still there, and whatever is unread.
#[tokio::test]
async fn a_reset_without_its_error_after_a_fin() {
    for unread in [&b""[..], b"unread"] {
        let (ours, mut peer) = Tcp4::pair();
        let ours = MonitoredStream::new(ours).unwrap();
        ours.get_ref().writable().await.unwrap();
        peer.write_all(unread).unwrap();
        peer.finish();
        until(&ours, PollFlags::RDHUP);
        peer.reset();
        until(&ours, PollFlags::HUP);
        let error = SockRef::from(ours.get_ref()).take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error:?}");
        assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    }
}

/// The peer resets while a large file is sent. The kernel gives the error to that call, which reports bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reset_in_the_middle_of_a_sendfile() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(64 << 20).unwrap();
    for round in 0..100 {
        let (ours, mut peer) = Tcp4::pair();
        let mut ours = MonitoredStream::new(ours).unwrap();
        // The close is a reset, because of what is unread.
        let peer = thread::spawn(move || peer.read(&mut [0]).unwrap());
        let error = loop {
            if let Err(error) = ours.send_file(&file, ..).await {
                break error;
            }
        };
        peer.join().unwrap();
        assert_eq!(
            error.kind(),
            ErrorKind::ConnectionReset,
            "{round}: {error:?}"
        );
        let reason = reason(&ours.monitor()).await;
        assert_eq!(reason, CloseReason::Reset, "{round}");
    }
}

/// A FIN, a write of ours and the reset that answers it are one close, also if our shutdown comes next.
#[tokio::test]
async fn a_shutdown_behind_a_fin_and_a_reset_does_not_change_the_reason() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    ours.get_ref().writable().await.unwrap();
    drop(peer);
    until(&ours, PollFlags::RDHUP);
    assert_eq!(ours.get_ref().try_write(b"x").unwrap(), 1);
    until(&ours, PollFlags::HUP);
    let _ = ours.shutdown().await;
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
}

/// The same for a reset without a FIN.
#[tokio::test]
async fn a_shutdown_behind_a_reset_does_not_change_the_reason() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let _ = ours.shutdown().await;
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

async fn an_orderly_end(shutdown: impl AsyncFn(&mut MonitoredStream<TcpStream>)) {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    shutdown(&mut ours).await;
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Finished);
}

/// Our sending direction may be shut down past the wrapper: the peer's end is orderly all the same.
#[tokio::test]
async fn an_orderly_end_after_a_shutdown_of_the_socket() {
    let shutdown = async |ours: &mut MonitoredStream<TcpStream>| {
        SockRef::from(ours.get_ref())
            .shutdown(Shutdown::Write)
            .unwrap();
    };
    an_orderly_end(shutdown).await;
    an_orderly_end(async |ours| ours.get_mut().shutdown().await.unwrap()).await;
}

/// As above, and the peer's FIN comes before it closes.
#[tokio::test]
async fn a_fin_after_a_shutdown_of_the_socket() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    ours.get_mut().shutdown().await.unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.finish();
    let monitor = ours.monitor();
    assert_eq!(
        soon("the close", monitor.closed()).await,
        CloseReason::Finished
    );
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(peer);
}

/// Other code shuts our receiving direction down, and a read finds EOF: the peer has not ended, and writes go on.
#[tokio::test]
async fn an_end_of_reading_by_ourselves() {
    for config in [MonitorConfig::new(), MonitorConfig::new().read_ahead(1000)] {
        let (ours, mut peer) = Tcp4::pair();
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        let shutdown = SockRef::from(ours.get_ref()).shutdown(Shutdown::Read);
        shutdown.unwrap();
        for _ in 0..2 {
            assert_eq!(soon("EOF", ours.read(&mut [0])).await.unwrap(), 0);
            soon("a write", ours.write_all(b"x")).await.unwrap();
            peer.read_exact(&mut [0]).unwrap();
            assert_eq!(ours.monitor().probe(), Status::Open);
        }
        drop(peer);
        assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
        assert_eq!(soon("EOF", ours.read(&mut [0])).await.unwrap(), 0);
    }
}

/// Other code shuts our sending direction down, and a write finds the broken pipe: the peer has not ended, and is read on.
#[tokio::test]
async fn a_broken_pipe_by_ourselves() {
    for config in [
        MonitorConfig::new(),
        MonitorConfig::new().fin_delay(Duration::from_millis(3)),
    ] {
        let (ours, mut peer) = Tcp4::pair();
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        let shutdown = SockRef::from(ours.get_ref()).shutdown(Shutdown::Write);
        shutdown.unwrap();
        for _ in 0..2 {
            let error = soon("a write", ours.write(b"x")).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
            assert_eq!(ours.monitor().probe(), Status::Open);
        }
        peer.write_all(b"answer").unwrap();
        drop(peer);
        let mut answer = String::new();
        let read = soon("the answer", ours.read_to_string(&mut answer)).await;
        assert_eq!(read.unwrap(), 6);
        assert_eq!(reason(&ours.monitor()).await, CloseReason::Finished);
    }
}

/// A connection that is wrapped behind our shutdown, and one that is wrapped behind both: neither was reset.
#[tokio::test]
async fn an_orderly_end_of_what_was_shut_down_before() {
    for half_close in [HalfClose::Close, HalfClose::Allow] {
        let config = MonitorConfig::new().half_close(half_close);
        let shut_down = || {
            let (ours, mut peer) = Tcp4::pair();
            SockRef::from(&ours).shutdown(Shutdown::Write).unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            (ours, peer)
        };
        let (ours, peer) = shut_down();
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        assert_eq!(ours.monitor().probe(), Status::Open);
        peer.finish();
        assert_eq!(reason(&ours.monitor()).await, CloseReason::Finished);
        assert_eq!(soon("EOF", ours.read(&mut [0])).await.unwrap(), 0);

        let (ours, peer) = shut_down();
        peer.finish();
        until(&ours, PollFlags::HUP);
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
        assert_eq!(soon("EOF", ours.read(&mut [0])).await.unwrap(), 0);

        let (ours, peer) = shut_down();
        peer.finish();
        until(&ours, PollFlags::HUP);
        ours.writable().await.unwrap();
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        let error = soon("a write", ours.write(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    }
}

/// A FIN that came before our shutdown is the peer's doing, also if nobody has heard of it yet.
#[tokio::test]
async fn a_fin_before_our_shutdown_is_the_peers() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    peer.finish();
    until(&ours, PollFlags::RDHUP);
    ours.shutdown().await.unwrap();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
}

/// An error that the program has taken past the wrapper leaves a reset behind, not an orderly end.
#[tokio::test]
async fn a_reset_whose_error_was_taken() {
    let (ours, peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let taken = SockRef::from(ours.get_ref()).take_error().unwrap();
    assert_eq!(taken.unwrap().kind(), ErrorKind::ConnectionReset);
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}

/// Every observer of a reset whose error somebody else was given, in each order: the watcher, a read and a write.
async fn assert_reset_without_its_error(
    config: &MonitorConfig,
    set_up: impl AsyncFn(&mut MonitoredStream<TcpStream>),
    leave: impl Fn(Peer4),
    expected: CloseReason,
) {
    for first in ["watcher", "read", "write"] {
        let (ours, peer) = Tcp4::pair();
        let mut ours = MonitoredStream::with_config(ours, config).unwrap();
        ours.get_ref().writable().await.unwrap();
        set_up(&mut ours).await;
        leave(peer);
        until(&ours, PollFlags::HUP);
        let error = SockRef::from(ours.get_ref()).take_error().unwrap();
        assert!(error.is_some());
        let end = match first {
            "read" => ours.read_to_end(&mut Vec::new()).await.map(drop),
            "write" => ours.write(b"x").await.map(drop),
            _ => Ok(()),
        };
        assert_eq!(reason(&ours.monitor()).await, expected, "{first}");
        if first == "read" && expected == CloseReason::Reset && config == &MonitorConfig::new() {
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
}

/// After our own shutdown too, what was received is incomplete, and the end is not an orderly one.
#[tokio::test]
async fn a_reset_without_its_error_after_our_shutdown() {
    for data in [&b""[..], b"a part of the response"] {
        assert_reset_without_its_error(
            &MonitorConfig::new(),
            async |ours| ours.shutdown().await.unwrap(),
            |mut peer| {
                assert_eq!(peer.read(&mut [0]).unwrap(), 0);
                peer.write_all(data).unwrap();
                peer.reset();
            },
            CloseReason::Reset,
        )
        .await;
    }
}

/// Sends `byte` as urgent data (tcp(7)).
fn send_urgent(peer: &Peer4, byte: u8) {
    let sent = SockRef::from(peer).send_out_of_band(&[byte]).unwrap();
    assert_eq!(sent, 1);
}

/// An urgent byte counts as input, and is not mistaken for a FIN.
#[tokio::test]
async fn a_reset_without_its_error_behind_an_urgent_byte() {
    for (before, after) in [
        (&b""[..], &b""[..]),
        (b"before", b""),
        (b"before", b"after"),
    ] {
        for inline in [false, true] {
            let set_up = async |ours: &mut MonitoredStream<TcpStream>| {
                SockRef::from(ours.get_ref())
                    .set_out_of_band_inline(inline)
                    .unwrap();
            };
            let send = |peer: &mut Peer4| {
                peer.write_all(before).unwrap();
                send_urgent(peer, b'!');
                peer.write_all(after).unwrap();
            };
            let config = MonitorConfig::new();
            let reset = |mut peer: Peer4| {
                send(&mut peer);
                peer.reset();
            };
            assert_reset_without_its_error(&config, set_up, reset, CloseReason::Reset).await;
            let finish_and_reset = |mut peer: Peer4| {
                send(&mut peer);
                peer.finish();
                peer.reset();
            };
            let closed = CloseReason::PeerClosed;
            assert_reset_without_its_error(&config, set_up, finish_and_reset, closed).await;
        }
    }
}

/// The system returns time stamps beside the number of unread bytes.
#[tokio::test]
async fn a_reset_without_its_error_behind_data_with_time_stamps() {
    let set_up = async |ours: &mut MonitoredStream<TcpStream>| {
        setsockopt(ours.get_ref(), ReceiveTimestampns, &true).unwrap();
    };
    let config = MonitorConfig::new();
    let reset = |mut peer: Peer4| {
        peer.write_all(b"unread").unwrap();
        peer.reset();
    };
    assert_reset_without_its_error(&config, set_up, reset, CloseReason::Reset).await;
    let finish_and_reset = |mut peer: Peer4| {
        peer.write_all(b"unread").unwrap();
        peer.finish();
        peer.reset();
    };
    let closed = CloseReason::PeerClosed;
    assert_reset_without_its_error(&config, set_up, finish_and_reset, closed).await;
}

/// The connection is still being opened when it is wrapped: the acknowledgement of our SYN is not one of our FIN.
#[tokio::test]
async fn a_reset_without_its_error_of_a_connection_that_was_being_opened() {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // There is room for one connection. The SYN of the next one is dropped, and sent again after a second.
    let first = socket();
    first.connect(&address).unwrap();
    let ours = socket();
    ours.set_nonblocking(true).unwrap();
    ours.connect(&address).unwrap_err();
    let mut ours = MonitoredStream::new(TcpStream::from_std(ours.into()).unwrap()).unwrap();
    let watch = WatchOnly::new(ours.get_ref()).unwrap();
    drop((listener.accept().unwrap(), first));

    let (mut peer, _) = listener.accept().unwrap();
    let written = soon("the connection", ours.write_all(b"request")).await;
    written.unwrap();
    peer.read_exact(&mut [0; 7]).unwrap();
    assert_eq!(ours.monitor().transfer().acknowledged, Some(7));
    std::net::TcpStream::from(peer).reset();
    until(&ours, PollFlags::HUP);
    SockRef::from(ours.get_ref()).take_error().unwrap().unwrap();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Reset);
}

/// Where a FIN closes nothing, a reset after it is a reset, whether or not the error is still there.
#[tokio::test]
async fn a_reset_without_its_error_after_an_allowed_half_close() {
    for unread in [&b""[..], b"unread"] {
        assert_reset_without_its_error(
            &MonitorConfig::new().half_close(HalfClose::Allow),
            async |_| {},
            |mut peer| {
                peer.write_all(unread).unwrap();
                peer.finish();
                peer.reset();
            },
            CloseReason::Reset,
        )
        .await;
    }
}

/// A Unix peer that closes with unread data resets, whether the watcher or a write finds out first: a write that did reported
/// `PeerClosed`. The socket's error is the next read's, as on the bare socket.
#[tokio::test]
async fn a_write_finds_the_reset_of_a_unix_socket() {
    for writes in [false, true] {
        let (ours, peer) = Unix::pair();
        let mut ours = MonitoredStream::new(ours).unwrap();
        soon("a write", ours.write_all(b"unread")).await.unwrap();
        peer.reset();
        if writes {
            let error = ours.write(b"x").await.unwrap_err();
            assert_eq!(CloseReason::from(&error), CloseReason::Reset, "{error:?}");
        }
        assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
        let error = soon("the error", ours.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(soon("the end", ours.read(&mut [0])).await.unwrap(), 0);
    }
}

/// A half-closed peer resets, and a write finds out first. Its error was EPIPE, which says that the peer has closed in order.
#[tokio::test]
async fn a_write_that_finds_a_reset_tells_the_same_reason() {
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    peer.finish();
    assert_eq!(soon("the FIN", ours.read(&mut [0])).await.unwrap(), 0);
    soon("room", ours.get_ref().writable()).await.unwrap();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let error = ours.write(b"x").await.unwrap_err();
    assert_eq!(ours.close_reason(), Some(CloseReason::Reset));
    assert_eq!(CloseReason::from(&error), CloseReason::Reset, "{error:?}");
}
