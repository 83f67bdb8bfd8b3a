//! A descriptor whose number comes to mean another connection.
//!
//! A monitor knows a number, and safe code can close the descriptor under it: by exchanging the wrapped stream, or
//! by a wrapped stream that drops its socket. `abort` then reset an innocent connection that had got the number,
//! and a probe reported that connection's disconnect as the stream's and took its error away.

use crate::support::{Pair, Peer, Tcp4, alone, soon, watched};
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream, Status};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

type Ours = TcpStream;
type Theirs = std::net::TcpStream;

/// A connection of which one end has got the number `raw`, which must be free.
fn innocent(raw: RawFd) -> (Ours, Theirs) {
    let (ours, theirs) = Tcp4::pair();
    assert_ne!(ours.as_raw_fd(), raw);
    assert_ne!(theirs.as_raw_fd(), raw);
    let std = ours.into_std().unwrap();
    let moved = rustix::io::fcntl_dupfd_cloexec(&std, raw).unwrap();
    assert_eq!(moved.as_raw_fd(), raw, "the number is free");
    drop(std);
    let ours = TcpStream::from_std(std::net::TcpStream::from(moved)).unwrap();
    (ours, theirs)
}

/// A stream whose socket was exchanged through `get_mut`, and the innocent connection under its number.
///
/// `least`: a number far above those that this process opens and closes, and below the usual limit of 1024. For a moment it
/// is free, so the test is alone in its process.
fn exchanged(least: RawFd) -> (MonitoredStream<Ours>, Ours, Theirs) {
    let (ours, _peer) = Tcp4::pair();
    let ours = at(ours, least);
    let mut stream = MonitoredStream::new(ours).unwrap();
    let raw = stream.as_raw_fd();
    let (spare, _spare_peer) = Tcp4::pair();
    std::mem::forget((_peer, _spare_peer));
    drop(std::mem::replace(stream.get_mut(), spare));
    let (innocent, theirs) = innocent(raw);
    (stream, innocent, theirs)
}

/// The same connection under the first free number from `least` on.
fn at(stream: Ours, least: RawFd) -> Ours {
    let std = stream.into_std().unwrap();
    let moved = rustix::io::fcntl_dupfd_cloexec(&std, least).unwrap();
    TcpStream::from_std(std::net::TcpStream::from(moved)).unwrap()
}

async fn works(ours: &mut Ours, theirs: &mut Theirs) {
    ours.write_all(b"fine").await.unwrap();
    theirs.read_exact(&mut [0; 4]).unwrap();
    theirs.write_all(b"fine").unwrap();
    soon("the answer", ours.read_exact(&mut [0; 4]))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_abort_does_not_reset_it() {
    if !alone("foreign_descriptor::an_abort_does_not_reset_it") {
        return;
    }
    let (stream, mut innocent, mut theirs) = exchanged(700);
    stream.monitor().abort();
    assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    works(&mut innocent, &mut theirs).await;
    drop(stream);
    works(&mut innocent, &mut theirs).await;
}

#[tokio::test]
async fn its_end_is_not_the_streams_and_its_error_stays() {
    if !alone("foreign_descriptor::its_end_is_not_the_streams_and_its_error_stays") {
        return;
    }
    let (stream, mut innocent, theirs) = exchanged(720);
    theirs.reset();
    let error = soon("the reset", innocent.readable()).await;
    error.unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    let error = innocent.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_stays_watched() {
    if !alone("foreign_descriptor::it_stays_watched") {
        return;
    }
    let (stream, innocent, mut theirs) = exchanged(740);
    // Under the same number, in the same watcher.
    let innocent = MonitoredStream::new(innocent).unwrap();
    drop(stream);
    theirs.write_all(b"unread").unwrap();
    drop(theirs);
    let reason = soon("the close", innocent.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// A stream that drops its socket at the end of its input, and says that it has another one.
struct Fused {
    io: Option<Ours>,
    spare: Ours,
}

impl AsFd for Fused {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_ref().unwrap_or(&self.spare).as_fd()
    }
}

impl AsyncRead for Fused {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
        let before = buf.filled().len();
        ready!(Pin::new(io).poll_read(cx, buf))?;
        if buf.filled().len() == before {
            self.io = None;
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_stream_drops_its_socket_at_the_end() {
    if !alone("foreign_descriptor::a_stream_drops_its_socket_at_the_end") {
        return;
    }
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 760);
    let raw = ours.as_raw_fd();
    let (spare, _spare_peer) = Tcp4::pair();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let fused = Fused {
        io: Some(ours),
        spare,
    };
    let mut stream = MonitoredStream::with_config(fused, &config).unwrap();
    peer.finish();
    assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
    let (mut innocent, mut theirs) = innocent(raw);
    stream.monitor().abort();
    works(&mut innocent, &mut theirs).await;
}

/// The end of a stream leaves its entry in the watcher to the close of its descriptor. A duplicate keeps the file open, and
/// so the entry; and a duplicate of the duplicate gets the number of the stream, under which the file was never watched
/// again.
#[tokio::test]
async fn a_duplicate_gets_the_number_of_a_dropped_stream() {
    if !alone("foreign_descriptor::a_duplicate_gets_the_number_of_a_dropped_stream") {
        return;
    }
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 780);
    let raw = ours.as_raw_fd();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&ours, 800).unwrap();
    drop(MonitoredStream::new(ours).unwrap());
    let again = rustix::io::fcntl_dupfd_cloexec(&duplicate, raw).unwrap();
    assert_eq!(again.as_raw_fd(), raw, "the number is free");
    let again = TcpStream::from_std(std::net::TcpStream::from(again)).unwrap();
    let stream = MonitoredStream::new(again).unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    drop(peer);
    let reason = soon("the close", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// The same while a stream is there that has lost the number: its socket was exchanged. The number counted as its own, and
/// the other one was refused as a second stream on one descriptor.
#[tokio::test]
async fn a_lost_number_is_nobodys() {
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 920);
    let raw = ours.as_raw_fd();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&ours, 940).unwrap();
    drop(MonitoredStream::new(ours).unwrap());
    let (other, _other_peer) = Tcp4::pair();
    let mut exchanged = MonitoredStream::new(at(other, raw)).unwrap();
    assert_eq!(exchanged.as_raw_fd(), raw, "the number is free");
    let (spare, _spare_peer) = Tcp4::pair();
    drop(std::mem::replace(exchanged.get_mut(), spare));
    let again = rustix::io::fcntl_dupfd_cloexec(&duplicate, raw).unwrap();
    assert_eq!(again.as_raw_fd(), raw, "the number is free");
    let again = TcpStream::from_std(std::net::TcpStream::from(again)).unwrap();
    let stream = MonitoredStream::new(again).unwrap();
    drop(peer);
    let reason = soon("the close", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// The news of a file that a duplicate keeps open is nobody's, although another connection has got the number.
#[tokio::test]
async fn a_duplicate_outlives_the_stream() {
    if !alone("foreign_descriptor::a_duplicate_outlives_the_stream") {
        return;
    }
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 820);
    let raw = ours.as_raw_fd();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&ours, 840).unwrap();
    let mut duplicate = std::net::TcpStream::from(duplicate);
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    drop(stream);
    let (innocent, theirs) = innocent(raw);
    let innocent = MonitoredStream::new(innocent).unwrap();
    let (steady, steady_peer) = watched::<Tcp4>();
    drop(peer);
    duplicate.set_nonblocking(false).unwrap();
    assert_eq!(duplicate.read(&mut [0]).unwrap(), 0);
    // The watcher has had its turn.
    drop(steady_peer);
    soon("another close", steady.closed()).await;
    assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    assert_eq!(innocent.monitor().status(), Status::Open);
    drop(theirs);
    let reason = soon("the close", innocent.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// Each way to the wrapped stream makes the number one that may come to mean something else.
#[tokio::test]
async fn it_is_taken_out_of_a_pinned_stream_or_a_transport() {
    if !alone("foreign_descriptor::it_is_taken_out_of_a_pinned_stream_or_a_transport") {
        return;
    }
    let (ours, _peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(at(ours, 860)).unwrap();
    let raw = stream.as_raw_fd();
    let (spare, _spare_peer) = Tcp4::pair();
    drop(std::mem::replace(
        Pin::new(&mut stream).get_pin_mut().get_mut(),
        spare,
    ));
    let (mut innocent_one, mut theirs) = innocent(raw);
    stream.abort();
    works(&mut innocent_one, &mut theirs).await;

    let (ours, _peer) = Tcp4::pair();
    let stream = MonitoredStream::new(at(ours, 880)).unwrap();
    let raw = stream.as_raw_fd();
    let monitor = stream.monitor();
    let (spare, _spare_peer) = Tcp4::pair();
    let layered = stream.layer(async |mut transport| {
        drop(std::mem::replace(transport.get_mut(), spare));
        Ok(transport)
    });
    let stream = layered.await.unwrap();
    let (mut innocent, mut theirs) = innocent(raw);
    monitor.abort();
    works(&mut innocent, &mut theirs).await;
    drop(stream);
    works(&mut innocent, &mut theirs).await;
}

/// A stream that is taken out stays open, and the watcher gives it up: another one may watch it.
#[tokio::test]
async fn it_is_watched_again_after_into_inner() {
    if !alone("foreign_descriptor::it_is_watched_again_after_into_inner") {
        return;
    }
    let (ours, peer) = Tcp4::pair();
    let mut ours = at(ours, 900);
    for _ in 0..3 {
        let stream = MonitoredStream::new(ours).unwrap();
        let monitor = stream.monitor();
        ours = stream.into_inner();
        assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    }
    let stream = MonitoredStream::new(ours).unwrap();
    drop(peer);
    let reason = soon("the close", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// Safe code makes a `TcpStream` of a pipe, and of a socket of another kind.
#[tokio::test]
async fn a_type_proves_no_kind() {
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let pipe = std::net::TcpStream::from(std::os::fd::OwnedFd::from(writer));
    let pipe = TcpStream::from_std(pipe).unwrap();
    let stream = MonitoredStream::new(pipe).unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    drop(reader);
    let reason = soon("the close", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);

    let (ours, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let ours = std::net::TcpStream::from(std::os::fd::OwnedFd::from(ours));
    let stream = MonitoredStream::new(TcpStream::from_std(ours).unwrap()).unwrap();
    drop(peer);
    let reason = soon("the close", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = std::net::TcpStream::from(std::os::fd::OwnedFd::from(listener));
    let error = MonitoredStream::new(TcpStream::from_std(listener).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("a listener"), "{error}");
}
