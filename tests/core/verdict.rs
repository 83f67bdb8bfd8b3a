//! Which reason a stream tells when several parties learn of its end, in whatever order.

#![cfg(target_os = "linux")]

use crate::support::{Pair, Peer, Tcp4, reason, soon, until};
use hangup::{CloseReason, Monitor, MonitoredStream};
use rustix::event::PollFlags;
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// A stream that is probed from another thread in the middle of each write.
struct Probed {
    io: TcpStream,
    monitor: Arc<Mutex<Option<Monitor>>>,
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
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Probed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let monitor = self.monitor.lock().unwrap().clone().unwrap();
        thread::spawn(move || monitor.probe()).join().unwrap();
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
    let (io, peer) = Tcp4::pair();
    let cell = Arc::new(Mutex::new(None));
    let monitor = cell.clone();
    let mut ours = MonitoredStream::new(Probed { io, monitor }).unwrap();
    *cell.lock().unwrap() = Some(ours.monitor());
    ours.get_ref().io.writable().await.unwrap();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let error = ours.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
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
