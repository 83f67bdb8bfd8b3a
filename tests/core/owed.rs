//! The stall policy on what the kernel holds for a peer, whether or not a call of the stream is pending.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{Pair, Tcp4, reason, soon, stall};
use hangup::{CloseReason, MonitoredStream};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// What is written fits into the send buffer: no call is ever pending, and the peer reads nothing.
#[tokio::test]
async fn a_response_that_fits_into_the_send_buffer() {
    let window = Duration::from_millis(500);
    let (ours, _peer) = Tcp4::pair();
    let mut ours = MonitoredStream::with_config(ours, &stall(1, window)).unwrap();
    let began = Instant::now();
    timeout(window, ours.write_all(&[7; 1 << 20]))
        .await
        .expect("it fits")
        .unwrap();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Stalled);
    assert!(began.elapsed() >= window, "{:?}", began.elapsed());
    let error = ours.write_all(b"x").await.unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Stalled));
}

/// A peer that takes all that it is sent is no stalled one, however little that is.
#[tokio::test]
async fn a_peer_that_takes_the_little_it_gets() {
    let (ours, mut peer) = Tcp4::pair();
    let policy = stall(1 << 20, Duration::from_millis(300));
    let mut ours = MonitoredStream::with_config(ours, &policy).unwrap();
    let reader = thread::spawn(move || while peer.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        ours.write_all(b"an event\n").await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ours.close_reason(), None);
    drop(ours);
    reader.join().unwrap();
}

/// A stream that sends at most 200 bytes every 100 ms.
struct Throttled {
    io: TcpStream,
    pause: Option<Pin<Box<Sleep>>>,
}

impl AsFd for Throttled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsyncRead for Throttled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Throttled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        self.pause = Some(Box::pin(sleep(Duration::from_millis(100))));
        Pin::new(&mut self.io).poll_write(cx, &bytes[..bytes.len().min(200)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A write that is pending for a reason of our own owes the peer nothing.
#[tokio::test]
async fn a_stream_that_is_throttled_on_our_side() {
    let (io, mut peer) = Tcp4::pair();
    let io = Throttled { io, pause: None };
    let policy = stall(4096, Duration::from_millis(500));
    let mut ours = MonitoredStream::with_config(io, &policy).unwrap();
    let reader = thread::spawn(move || while peer.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
    let pouring = timeout(Duration::from_secs(2), ours.write_all(&[7; 1 << 20]));
    assert!(pouring.await.is_err(), "{:?}", ours.close_reason());
    assert_eq!(ours.close_reason(), None);
    drop(ours);
    reader.join().unwrap();
}

/// What is left in the kernel after the drop is bounded by the policy too.
#[tokio::test]
async fn what_a_drop_leaves_behind() {
    let (ours, peer) = Tcp4::pair();
    let port = ours.local_addr().unwrap().port();
    let policy = stall(1, Duration::from_secs(1));
    let mut ours = MonitoredStream::with_config(ours, &policy).unwrap();
    ours.write_all(&[7; 1 << 20]).await.unwrap();
    drop(ours);
    let connection = format!(":{port:04X} ");
    let is_left = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        // State 04 is FIN_WAIT1.
        let mut lines = table.lines().map(str::trim_start);
        lines.any(|line| {
            let mut fields = line.split(' ').skip(1);
            fields
                .next()
                .is_some_and(|local| format!("{local} ").ends_with(&connection))
                && fields.nth(1) == Some("04")
        })
    };
    assert!(is_left(), "an orphan");
    soon("the end of the orphan", async {
        while is_left() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    drop(peer);
}

/// A dead peer is given up as early as it would have been before the drop.
#[tokio::test]
async fn a_drop_leaves_a_shorter_timer_as_it_is() {
    let dead_after = Duration::from_secs(8);
    for (window, left) in [(600, 6), (2, 2)] {
        let (ours, _peer) = Tcp4::pair();
        // Another descriptor of the same socket, which survives the drop.
        let same = socket2::SockRef::from(&ours).try_clone().unwrap();
        let config = stall(1, Duration::from_secs(window)).dead_peer_timeout(Some(dead_after));
        let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
        // A part of it stays in our kernel.
        let filling = timeout(Duration::from_millis(300), ours.write_all(&[0; 64 << 20]));
        filling.await.unwrap_err();
        drop(ours);
        let timer = same.tcp_user_timeout().unwrap();
        assert_eq!(
            timer,
            Some(Duration::from_secs(left)),
            "a window of {window} s"
        );
    }
}

/// The policy's timer is for a socket that is closed. One that is taken out is the caller's, and lives on.
#[tokio::test]
async fn what_is_taken_out_gets_no_timer() {
    let (ours, _peer) = Tcp4::pair();
    let policy = stall(1, Duration::from_secs(60));
    let mut ours = MonitoredStream::with_config(ours, &policy).unwrap();
    let filling = ours.write_all(&[0; 64 << 20]);
    timeout(Duration::from_millis(300), filling)
        .await
        .unwrap_err();
    let bare = ours.into_inner();
    let timer = socket2::SockRef::from(&bare).tcp_user_timeout().unwrap();
    assert_eq!(timer, None);
}
