//! Streams whose end is settled: the kernel is not asked about them any more.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{Pair, Tcp4, soon, stall, until, watched};
use hangup::{CloseReason, MonitoredStream, Status};
use rustix::event::PollFlags;
use socket2::SockRef;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Closes the connection with a reset.
fn reset(peer: TcpStream) {
    let socket = SockRef::from(&peer);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

async fn the_watcher_has_had_its_turn() {
    let (another, peer) = watched::<Tcp4>();
    drop(peer);
    soon("another close", another.closed()).await;
}

/// An error that comes after the end stays in the socket. It is for who takes the socket out.
#[tokio::test]
async fn the_error_of_a_stream_that_has_ended_stays_in_its_socket() {
    let (ours, peer) = Tcp4::pair();
    let config = stall(1, Duration::from_millis(12));
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let error = soon("a stall", stream.write_all(&vec![0; 16 << 20])).await;
    assert_eq!(CloseReason::from(&error.unwrap_err()), CloseReason::Stalled);
    reset(peer);
    until(&stream, PollFlags::ERR);
    let stalled = Status::Closed(CloseReason::Stalled);
    assert_eq!(stream.monitor().probe(), stalled);
    the_watcher_has_had_its_turn().await;
    let error = stream.into_inner().take_error().unwrap();
    assert_eq!(
        error.map(|error| error.kind()),
        Some(ErrorKind::ConnectionReset)
    );
}

/// A FIN behind unread input closes the stream and refuses no write, as the reader does not know of it yet. So the end is not
/// settled: the reset that follows has to be found, and from then on writes are refused without the kernel.
#[tokio::test]
async fn a_reset_after_an_unread_fin_refuses_writes() {
    let (ours, mut peer) = Tcp4::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    peer.write_all(b"request").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let reason = soon("the FIN", stream.closed()).await;
    assert_eq!(reason, CloseReason::PeerClosed);
    soon("a write", stream.write_all(b"answer")).await.unwrap();
    reset(peer);
    until(&stream, PollFlags::HUP);
    the_watcher_has_had_its_turn().await;
    let error = soon("a write", stream.write_all(b"more")).await;
    let error = error.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);
    assert_eq!(error.raw_os_error(), None, "{error}");
    // What came before it stays readable.
    let mut request = [0; 7];
    soon("the request", stream.read_exact(&mut request))
        .await
        .unwrap();
    assert_eq!(&request, b"request");
}
