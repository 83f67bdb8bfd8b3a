//! A descriptor whose number comes to mean another connection.
//!
//! A monitor knows a number, and safe code can close the descriptor under it: by exchanging the wrapped stream, or
//! by a wrapped stream that drops its socket. `abort` then reset an innocent connection that had got the number,
//! and a probe reported that connection's disconnect as the stream's and took its error away.

use crate::support::{Pair, Peer, Tcp4, soon};
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
fn exchanged() -> (MonitoredStream<Ours>, Ours, Theirs) {
    let (ours, _peer) = Tcp4::pair();
    // Two numbers far above those that other tests of this program open and close.
    let ours = at(ours, 700);
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
    let (stream, mut innocent, mut theirs) = exchanged();
    stream.monitor().abort();
    assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    works(&mut innocent, &mut theirs).await;
    drop(stream);
    works(&mut innocent, &mut theirs).await;
}

#[tokio::test]
async fn its_end_is_not_the_streams_and_its_error_stays() {
    let (stream, mut innocent, theirs) = exchanged();
    theirs.reset();
    let error = soon("the reset", innocent.readable()).await;
    error.unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    let error = innocent.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_stays_watched() {
    let (stream, innocent, mut theirs) = exchanged();
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
    let (ours, peer) = Tcp4::pair();
    let ours = at(ours, 800);
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
