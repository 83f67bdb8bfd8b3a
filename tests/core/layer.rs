//! A protocol above a stream: one state, one place in the watcher, and nothing lost between the two.
//!
//! The numbers in comments are those of the invariants in `docs/architecture.md`.

#![cfg(unix)]

use crate::recorder::Recorder;
use crate::support::{Pair, Peer, Tcp4, Unix, reason, soon, watched};
use futures::FutureExt;
use futures_test::task::new_count_waker;
use hangup::{CloseReason, MonitorConfig, MonitoredStream, Status, Transport};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufStream,
    ReadBuf,
};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

/// A protocol that changes nothing.
async fn same<S: AsyncRead>(stream: MonitoredStream<S>) -> MonitoredStream<Transport<S>> {
    let layering = stream.layer(|lower| async { Ok(lower) });
    soon("a layer", layering).await.unwrap()
}

#[tokio::test]
async fn the_monitors_are_the_same() {
    let (stream, mut peer) = watched::<Tcp4>();
    let (monitor, mut closed) = (stream.monitor(), stream.closed());
    let (waker, wakes) = new_count_waker();
    assert_pending!(closed.poll_unpin(&mut Context::from_waker(&waker)));
    let mut stream = same(same(stream).await).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(monitor.transfer().accepted, 5);
    // Nothing but the stream's own bytes was sent: TCP's count is known.
    peer.read_exact(&mut [0; 5]).unwrap();
    if cfg!(all(target_os = "linux", not(hangup_fallback))) {
        soon("an acknowledgement", async {
            while monitor.transfer().acknowledged != Some(5) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    assert_eq!(stream.get_ref().get_ref().as_raw_fd(), stream.as_raw_fd());
    peer.finish();
    assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
    assert_eq!(wakes, 1);
}

/// (3) The drop closes the socket, and lets go of its number before that.
#[tokio::test]
async fn dropped_with_live_monitors() {
    for _ in 0..1000 {
        let (stream, mut peer) = watched::<Unix>();
        let monitor = stream.monitor();
        drop(same(stream).await);
        // The number comes back at once.
        let (another, another_peer) = watched::<Unix>();
        assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert_eq!(another.monitor().probe(), Status::Open);
        drop(another_peer);
    }
}

/// (3) And so does the drop of a protocol that is being set up.
#[tokio::test]
async fn dropped_while_it_is_set_up() {
    let (stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let mut layering = task::spawn(stream.layer(|mut lower| async {
        lower.read_u8().await?;
        Ok(lower)
    }));
    assert_pending!(layering.poll());
    assert_eq!(monitor.probe(), Status::Open);
    drop(layering);
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

/// What is taken out is watched no longer, and can be wrapped again.
#[tokio::test]
async fn taken_out_of_the_wrapper() {
    let (stream, peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let lower = same(stream).await.into_inner();
    assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    let again = MonitoredStream::new(lower).unwrap();
    drop(peer);
    assert_eq!(reason(&again.monitor()).await, CloseReason::PeerClosed);
    assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
}

/// (1) The error of a set-up that fails is the reason, and there is one reason.
#[tokio::test]
async fn a_set_up_that_fails() {
    let (stream, _peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let failed: io::Result<MonitoredStream<Transport<TcpStream>>> = stream
        .layer(|_| async { Err(io::Error::new(ErrorKind::UnexpectedEof, "no greeting")) })
        .await;
    assert_eq!(failed.unwrap_err().to_string(), "no greeting");
    assert_eq!(reason(&monitor).await, CloseReason::Truncated);

    // Another reason was first.
    let (stream, _peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let failed: io::Result<MonitoredStream<Transport<TcpStream>>> = stream
        .layer(|_| async {
            monitor.abort();
            Err(ErrorKind::UnexpectedEof.into())
        })
        .await;
    assert_eq!(
        CloseReason::carried_by(&failed.unwrap_err()),
        Some(&CloseReason::Aborted)
    );
}

/// A set-up that waits for something else than its peer ends with the stream.
#[tokio::test]
async fn a_set_up_that_does_not_look() {
    for resets in [false, true] {
        let (stream, peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let layering = tokio::spawn(async move {
            let layering = stream.layer(|lower| async {
                std::future::pending::<()>().await;
                Ok(lower)
            });
            layering.await.map(drop)
        });
        tokio::task::yield_now().await;
        let expected = match resets {
            true => {
                peer.reset();
                CloseReason::Reset
            }
            false => {
                peer.finish();
                CloseReason::PeerClosed
            }
        };
        let failed = soon("the set-up", layering).await.unwrap().unwrap_err();
        assert_eq!(CloseReason::carried_by(&failed), Some(&expected));
        assert_eq!(reason(&monitor).await, expected);
    }
}

/// (5) A client that sends its header and a command and leaves at once: a set-up that waits for something else meanwhile, a
/// name server for instance, is not given up, or the command would be lost.
#[tokio::test]
async fn a_set_up_of_a_client_that_has_left() {
    for buffers in [false, true] {
        let (stream, mut peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        peer.write_all(b"PROXY\nQUIT").unwrap();
        drop(peer);
        let layering = stream.layer(|lower| async {
            let mut lower = BufReader::with_capacity(if buffers { 1000 } else { 1 }, lower);
            let mut header = String::new();
            lower.read_line(&mut header).await?;
            assert_eq!(header, "PROXY\n");
            monitor.closed().await;
            tokio::task::yield_now().await;
            Ok(lower)
        });
        let mut stream = soon("a layer", layering).await.unwrap();
        let mut command = String::new();
        stream.read_to_string(&mut command).await.unwrap();
        assert_eq!(command, "QUIT");
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    }
}

/// A set-up that has read everything, or that a reset reaches, waits for nobody.
#[tokio::test]
async fn a_set_up_that_has_read_to_the_end() {
    for resets in [false, true] {
        let (stream, mut peer) = watched::<Tcp4>();
        peer.write_all(b"PROXY\n").unwrap();
        match resets {
            true => peer.reset(),
            false => drop(peer),
        }
        let layering = stream.layer(|mut lower| async move {
            let mut header = Vec::new();
            if !resets {
                lower.read_to_end(&mut header).await?;
            }
            std::future::pending::<()>().await;
            Ok(lower)
        });
        let failed = soon("the set-up", layering).await.unwrap_err();
        let expected = match resets {
            true => CloseReason::Reset,
            false => CloseReason::PeerClosed,
        };
        assert_eq!(CloseReason::carried_by(&failed), Some(&expected));
    }
}

/// A look at the first bytes was given up before the set-up. It counted as a pending read of the set-up, which waited forever
/// for something else although its client had left.
#[tokio::test]
async fn a_read_that_was_given_up_before_the_set_up() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    assert_pending!(task::spawn(stream.peek(&mut [0])).poll());
    peer.write_all(b"PROXY\n").unwrap();
    drop(peer);
    let layering = stream.layer(|mut lower| async move {
        lower.read_to_end(&mut Vec::new()).await?;
        std::future::pending::<()>().await;
        Ok(lower)
    });
    let failed = soon("the set-up", layering).await.unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&failed),
        Some(&CloseReason::PeerClosed)
    );
}

/// The protocol is set up in a runtime of its own, which ends after that, as in a blocking client. The delay of the FIN was to
/// end by its timer, and an idle stream never reported the FIN.
#[test]
fn the_runtime_of_a_set_up_has_ended() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        let (stream, peer) = watched::<Tcp4>();
        let set_up = std::thread::spawn(move || runtime().block_on(same(stream)));
        let stream = set_up.join().unwrap();
        peer.finish();
        assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    });
}

/// (5) Input that a write has moved to the side before there was a protocol above is its first input.
#[tokio::test]
async fn what_was_moved_to_the_side_is_not_lost() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().read_ahead(1000);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    peer.write_all(b"STARTTLS\n").unwrap();
    soon("the input", stream.get_ref().readable())
        .await
        .unwrap();
    // It reads ahead.
    stream.write_all(b"220 go ahead\n").await.unwrap();
    let layering = stream.layer(|lower| async {
        let mut lines = BufStream::new(lower);
        let mut line = [0; 9];
        lines.read_exact(&mut line).await?;
        assert_eq!(&line, b"STARTTLS\n");
        Ok(lines)
    });
    let mut stream = soon("a layer", layering).await.unwrap();
    peer.write_all(b"more").unwrap();
    let mut more = [0; 4];
    soon("more", stream.read_exact(&mut more)).await.unwrap();
    assert_eq!(&more, b"more");
    assert_eq!(stream.monitor().transfer().read, 4);
}

/// Without a socket, what the upper stream finds out is all there is.
#[tokio::test]
async fn above_a_stream_without_a_socket() {
    let (ours, peer) = tokio::io::duplex(64);
    let stream = MonitoredStream::unwatched(ours);
    let monitor = stream.monitor();
    let mut stream = same(stream).await;
    drop(peer);
    let error = stream.write_all(b"for nobody").await.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
}

/// A layered stream that is written to hears of a FIN from what is behind it, without its reader.
#[tokio::test]
async fn a_blocked_writer_is_woken_by_a_held_fin() {
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(crate::support::DEADLINE);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let wait = Duration::from_millis(100);
    while let Ok(written) = tokio::time::timeout(wait, stream.write(&[0; 65536])).await {
        written.unwrap();
    }
    let monitor = stream.monitor();
    let writing = tokio::spawn(async move { stream.write(&[0]).await });
    tokio::task::yield_now().await;
    peer.finish();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    let error = soon("the write", writing).await.unwrap().unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
}

/// A protocol that lets go of the stream below it, and says that its peer is gone.
struct LetsGo<S>(Option<S>);

impl<S: Unpin> AsyncRead for LetsGo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl<S: Unpin> AsyncWrite for LetsGo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0 = None;
        Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Nobody will ever tell what is behind its broken pipe: the write does not wait for it.
#[tokio::test]
async fn a_protocol_that_lets_go() {
    let (stream, mut peer) = watched::<Tcp4>();
    let layering = stream.layer(|lower| async { Ok(LetsGo(Some(lower))) });
    let mut stream = soon("a layer", layering).await.unwrap();
    let error = soon("a write", stream.write(b"hello")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

/// (9)
#[tokio::test]
async fn the_stream_below_passes_everything_on() {
    let stream = MonitoredStream::unwatched(Recorder::default());
    let mut stream = same(stream).await;
    let mut lower = task::spawn(stream.get_mut());
    assert!(lower.is_write_vectored());
    let mut bytes = [0; 10];
    let mut buf = ReadBuf::new(&mut bytes);
    assert_ready_ok!(lower.enter(|cx, lower| lower.poll_read(cx, &mut buf)));
    assert_eq!(buf.filled(), b"data");
    let written = lower.enter(|cx, lower| lower.poll_write(cx, b"12345678"));
    assert_eq!(assert_ready_ok!(written), 4);
    let slices = [IoSlice::new(b"12"), IoSlice::new(b"345")];
    let written = lower.enter(|cx, lower| lower.poll_write_vectored(cx, &slices));
    assert_eq!(assert_ready_ok!(written), 5);
    assert_pending!(lower.enter(|cx, lower| lower.poll_flush(cx)));
    let error = assert_ready_err!(lower.enter(|cx, lower| lower.poll_shutdown(cx)));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        lower.get_ref().calls,
        [
            "read, 0 filled",
            "write 8",
            "write [2, 3]",
            "flush",
            "shutdown"
        ]
    );
}

/// A protocol above may give the stream below up while it lives on: the socket is closed, and nothing will be
/// heard of it any more.
#[tokio::test]
async fn the_stream_below_is_dropped_first() {
    let (ours, mut peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    let monitor = ours.monitor();
    let (upper, _hand) = tokio::io::duplex(64);
    let upper = ours
        .layer(|lower| async move {
            tokio::spawn(async move { drop(lower) });
            Ok(upper)
        })
        .await
        .unwrap();
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    assert_eq!(Read::read(&mut peer, &mut [0]).unwrap(), 0);
    drop(upper);
}

/// An abort inside of the set-up does not wait for the set-up to end.
#[tokio::test]
async fn an_abort_within_the_set_up_returns_at_once() {
    let (ours, mut peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    let monitor = ours.monitor();
    let mut shortest = Duration::MAX;
    let layered = ours
        .layer(|lower| async {
            for _ in 0..20 {
                let began = std::time::Instant::now();
                monitor.abort();
                shortest = shortest.min(began.elapsed());
            }
            tokio::task::yield_now().await;
            Ok(lower)
        })
        .await;
    assert!(shortest < Duration::from_millis(5), "{shortest:?}");
    assert_eq!(
        CloseReason::from(&layered.unwrap_err()),
        CloseReason::Aborted
    );
    let error = Read::read(&mut peer, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
