//! The handle on a stream that another library owns: what it tells, and that its owner notices nothing of it.

use crate::support::{Pair, Peer, Tcp4, Unix, alone, reason, soon, until};
use crate::watcher::sleeps_through_data;
use hangup::{CloseReason, HalfClose, MonitoredStream, Status, WatchOnly};
use rustix::event::PollFlags;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Theirs = std::net::TcpStream;

/// A connection that works in both directions.
async fn works(ours: &mut TcpStream, theirs: &mut Theirs) {
    ours.write_all(b"to them").await.unwrap();
    let mut bytes = [0; 7];
    theirs.read_exact(&mut bytes).unwrap();
    theirs.write_all(b"from them").unwrap();
    let mut bytes = [0; 9];
    soon("the answer", ours.read_exact(&mut bytes))
        .await
        .unwrap();
}

/// `stream` under the number `raw`, which must be free.
fn at(stream: TcpStream, raw: RawFd) -> TcpStream {
    let std = stream.into_std().unwrap();
    let moved = rustix::io::fcntl_dupfd_cloexec(&std, raw).unwrap();
    assert_eq!(moved.as_raw_fd(), raw);
    TcpStream::from_std(moved.into()).unwrap()
}

#[tokio::test]
async fn a_fin() {
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    peer.finish();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
}

/// It comes before the watch begins.
#[tokio::test]
async fn an_earlier_fin() {
    let (ours, peer) = Tcp4::pair();
    peer.finish();
    until(&ours, PollFlags::RDHUP);
    let watch = WatchOnly::new(&ours).unwrap();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn a_fin_behind_unread_data() {
    let (mut ours, mut peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    peer.write_all(b"unread").unwrap();
    peer.finish();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
    let mut text = String::new();
    ours.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "unread");
}

/// The owner reads its own error after the handle has reported the reset, and has asked again and again.
#[tokio::test]
async fn a_reset_whose_error_is_the_owners() {
    let (mut ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    peer.reset();
    assert_eq!(reason(&monitor).await, CloseReason::Reset);
    for _ in 0..10 {
        monitor.probe();
        drop(WatchOnly::new(&ours).unwrap());
    }
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // It has read the error, so a later watch finds none.
    let late = WatchOnly::new(&ours).unwrap();
    assert_eq!(reason(&late.monitor()).await, CloseReason::Reset);
}

/// The probe takes no error either, in a runtime that is blocked.
#[tokio::test]
async fn a_probe_leaves_the_error() {
    let (mut ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    assert_eq!(watch.monitor().probe(), Status::Open);
    peer.reset();
    until(&ours, PollFlags::HUP);
    let told = watch.monitor().probe();
    assert_eq!(told, Status::Closed(CloseReason::Reset));
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// The owner hears of the reset first, and drops everything before the watcher has had a turn.
#[tokio::test]
async fn the_owner_is_faster() {
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    peer.reset();
    until(&ours, PollFlags::HUP);
    let error = rustix::net::recv(&ours, &mut [0; 1], rustix::net::RecvFlags::empty());
    assert_eq!(error, Err(rustix::io::Errno::CONNRESET));
    drop(watch);
    assert_eq!(monitor.close_reason(), Some(CloseReason::Reset));
    // The other order: nothing is left to ask.
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    peer.reset();
    until(&ours, PollFlags::HUP);
    drop(ours);
    drop(watch);
    assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
}

#[tokio::test]
async fn a_fin_after_ours() {
    let (mut ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    ours.shutdown().await.unwrap();
    assert_eq!(watch.monitor().probe(), Status::Open);
    drop(peer);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Finished);
}

/// The owner's own shutdown of both directions is not the peer's end.
#[tokio::test]
async fn the_owners_shutdown() {
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    SockRef::from(&ours).shutdown(Shutdown::Both).unwrap();
    for _ in 0..10 {
        assert_eq!(watch.monitor().probe(), Status::Open);
        tokio::task::yield_now().await;
    }
    drop(peer);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Finished);
}

#[tokio::test]
async fn a_half_close_and_then_a_reset() {
    let (mut ours, peer) = Tcp4::pair();
    let watch = WatchOnly::with_half_close(&ours, HalfClose::Allow).unwrap();
    let monitor = watch.monitor();
    let mut status = monitor.subscribe();
    peer.finish();
    let finished = status.wait_for(|status| *status == Status::PeerFinished);
    soon("the FIN", finished).await.unwrap();
    ours.write_all(b"an answer").await.unwrap();
    // It leaves the answer unread.
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::Reset);
}

#[tokio::test]
async fn a_half_close_that_lasts() {
    let (ours, peer) = Tcp4::pair();
    let period = HalfClose::AllowFor(Duration::from_millis(20));
    let watch = WatchOnly::with_half_close(&ours, period).unwrap();
    peer.finish();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn unix_sockets() {
    let (ours, peer) = Unix::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    drop(peer);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);

    let (mut ours, peer) = Unix::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    ours.write_all(b"unread").await.unwrap();
    drop(peer);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Reset);
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn pipes() {
    let (writer, reader) = tokio::net::unix::pipe::pipe().unwrap();
    let watch = WatchOnly::new(&writer).unwrap();
    drop(reader);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);

    let (writer, reader) = tokio::net::unix::pipe::pipe().unwrap();
    let watch = WatchOnly::new(&reader).unwrap();
    drop(writer);
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
}

/// The owner's close sends its FIN at once, although the handle and its monitors live.
#[tokio::test]
async fn the_owner_closes() {
    let (ours, mut peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    drop(ours);
    // The socket of the peer has a deadline.
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(monitor.probe(), Status::Closed(CloseReason::Dropped));
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    drop(watch);

    // Nobody asks, and the handle goes with its stream.
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    drop(ours);
    drop(peer);
    tokio::task::yield_now().await;
    assert_eq!(monitor.status(), Status::Open);
    drop(watch);
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
}

/// A socket gets the number of one that is still watched. Neither hears of the other, and the end of the old watch
/// leaves the new one as it is.
#[tokio::test]
async fn a_number_that_is_reused() {
    if !alone("watch_only::a_number_that_is_reused") {
        return;
    }
    let (ours, _old_peer) = Tcp4::pair();
    let ours = at(ours, 830);
    let old = WatchOnly::new(&ours).unwrap();
    let old_monitor = old.monitor();
    drop(ours);

    let (ours, mut peer) = Tcp4::pair();
    let mut ours = at(ours, 830);
    let watch = WatchOnly::new(&ours).unwrap();
    old_monitor.abort();
    drop(old);
    works(&mut ours, &mut peer).await;
    peer.finish();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::PeerClosed);
    assert_eq!(old_monitor.close_reason(), Some(CloseReason::Aborted));

    // The same beside a stream of our own, whose entry in the watcher has that number.
    let (lent, _lent_peer) = Tcp4::pair();
    let lent = at(lent, 831);
    let old = WatchOnly::new(&lent).unwrap();
    let old_monitor = old.monitor();
    drop(lent);
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(at(ours, 831)).unwrap();
    peer.reset();
    until(&stream, PollFlags::HUP);
    assert_eq!(
        old_monitor.probe(),
        Status::Closed(CloseReason::Dropped),
        "the reset is another connection's"
    );
    drop(old);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);

    let (lent, _lent_peer) = Tcp4::pair();
    let lent = at(lent, 832);
    let old = WatchOnly::new(&lent).unwrap();
    drop(lent);
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(at(ours, 832)).unwrap();
    drop(old);
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

/// The owner goes on under another number. The connection is watched until a probe finds the first number closed.
#[tokio::test]
async fn a_stream_that_moves() {
    if !alone("watch_only::a_stream_that_moves") {
        return;
    }
    let (ours, peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let moved: OwnedFd = ours.as_fd().try_clone_to_owned().unwrap();
    drop(ours);
    peer.reset();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Reset);
    drop(moved);

    // A healthy connection has the first number: its state is not that of the one that was reset.
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 833);
    let watch = WatchOnly::new(&ours).unwrap();
    let _moved: OwnedFd = ours.as_fd().try_clone_to_owned().unwrap();
    drop(ours);
    let (healthy, _healthy_peer) = Tcp4::pair();
    let _healthy = at(healthy, 833);
    peer.reset();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Reset);

    let (ours, _peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let _moved: OwnedFd = ours.as_fd().try_clone_to_owned().unwrap();
    drop(ours);
    let told = watch.monitor().probe();
    assert_eq!(told, Status::Closed(CloseReason::Dropped));
}

/// An abort of the monitor, and the drop of the handle, leave the owner's connection as it is.
#[tokio::test]
async fn the_connection_is_not_touched() {
    let (mut ours, mut peer) = Tcp4::pair();
    let watch = WatchOnly::new(&ours).unwrap();
    let monitor = watch.monitor();
    works(&mut ours, &mut peer).await;
    assert_eq!(monitor.transfer().accepted, 0);
    assert_eq!(monitor.transfer().acknowledged, None);
    let unknown = monitor.wait_acknowledged().await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unsupported);
    monitor.abort();
    assert_eq!(reason(&monitor).await, CloseReason::Aborted);
    works(&mut ours, &mut peer).await;
    drop(watch);
    works(&mut ours, &mut peer).await;
    assert_eq!(SockRef::from(&ours).linger().unwrap(), None);
}

/// Several handles, and a stream of ours under a duplicate, watch one socket.
#[tokio::test]
async fn several_watch_one_socket() {
    let (ours, peer) = Tcp4::pair();
    let first = WatchOnly::new(&ours).unwrap();
    let second = WatchOnly::new(&ours.as_fd()).unwrap();
    let stream = MonitoredStream::new(ours).unwrap();
    let third = WatchOnly::new(&stream).unwrap();
    drop(first);
    peer.finish();
    for monitor in [second.monitor(), third.monitor(), stream.monitor()] {
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    }
}

#[test]
fn incoming_data_wakes_nobody() {
    sleeps_through_data(|ours| {
        let watch = WatchOnly::new(&ours).unwrap();
        let monitor = watch.monitor();
        (ours, watch, monitor)
    });
}

/// What has no peer is refused with the words for it.
#[tokio::test]
async fn no_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = WatchOnly::new(&listener).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("a listener"), "{error}");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = WatchOnly::new(&socket).unwrap_err();
    assert!(error.to_string().contains("a datagram socket"), "{error}");
}

#[test]
fn no_runtime() {
    let (ours, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = WatchOnly::new(&ours).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

#[test]
fn the_runtime_shuts_down() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let watch = runtime.block_on(async { WatchOnly::new(&ours).unwrap() });
    drop(runtime);
    let told = watch.monitor().close_reason();
    assert_eq!(told, Some(CloseReason::RuntimeShutdown));
}

/// One descriptor a handle, which goes with it.
#[tokio::test]
async fn descriptors() {
    let (ours, _peer) = Tcp4::pair();
    drop(WatchOnly::new(&ours).unwrap());
    let epolls = || {
        let own = std::fs::read_dir("/proc/self/fdinfo").unwrap();
        let inode = rustix::fs::fstat(&ours).unwrap().st_ino;
        let holds = format!("ino:{inode:x} ");
        let infos = own.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
        infos.filter(|info| info.contains(&holds)).count()
    };
    // tokio's own.
    let before = epolls();
    let watch = WatchOnly::new(&ours).unwrap();
    assert_eq!(epolls(), before + 1);
    drop(watch);
    assert_eq!(epolls(), before);
}

/// The numbers are used again and again, while the watcher runs on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_short_connections() {
    for round in 0..1000 {
        let (ours, peer) = Tcp4::pair();
        let watch = WatchOnly::new(&ours).unwrap();
        let monitor = watch.monitor();
        match round % 4 {
            0 => {
                peer.finish();
                assert_eq!(soon("it", monitor.closed()).await, CloseReason::PeerClosed);
            }
            1 => {
                peer.reset();
                assert_eq!(soon("it", monitor.closed()).await, CloseReason::Reset);
            }
            2 => {
                drop(ours);
                drop(watch);
                assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
            }
            _ => {
                drop(watch);
                drop(ours);
                assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
            }
        }
    }
}
