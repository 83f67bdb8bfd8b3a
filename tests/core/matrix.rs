//! Every way of leaving, over TCP on IPv4 and IPv6 and Unix sockets, on both kinds of runtime.
//!
//! Each scenario is written once; the table at the end of the file runs it in every combination. The
//! numbers in comments are those of the invariants in `docs/architecture.md`.

use crate::support::{BROKEN_PIPE, CONNECTION_RESET, Pair, Peer, lacks, reason, soon, watched};
use futures::FutureExt;
use futures_test::task::new_count_waker;
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream, Status};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_test::assert_pending;
use tokio_test::task::{self, Spawn};

fn half_close_allowed<P: Pair>() -> (MonitoredStream<P::Ours>, P::Peer) {
    let (ours, peer) = P::pair();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    (MonitoredStream::with_config(ours, &config).unwrap(), peer)
}

/// Everything that is left to read, and how the reading ended: the error of a read comes once.
async fn drain(stream: &mut (impl AsyncReadExt + Unpin)) -> (usize, Option<i32>) {
    let (mut bytes, mut buffer) = (0, vec![0; 65536]);
    loop {
        match soon("a read", stream.read(&mut buffer)).await {
            Ok(0) => return (bytes, None),
            Ok(read) => bytes += read,
            Err(error) => {
                let code = error.raw_os_error().expect("the kernel's own error");
                assert_eq!(soon("a read", stream.read(&mut buffer)).await.unwrap(), 0);
                return (bytes, Some(code));
            }
        }
    }
}

/// A write on a closed stream is refused with the reason (6).
async fn assert_refused<S>(stream: &mut MonitoredStream<S>, reason: &CloseReason)
where
    MonitoredStream<S>: AsyncWrite + Unpin,
{
    let accepted = stream.monitor().transfer().accepted;
    let error = soon("the refusal", stream.write(b"for nobody"))
        .await
        .unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(reason));
    assert_eq!(stream.monitor().transfer().accepted, accepted);
}

async fn fin_idle<P: Pair>() {
    let (mut stream, peer) = watched::<P>();
    let monitor = stream.monitor();
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_refused(&mut stream, &CloseReason::PeerClosed).await;
    assert_eq!(drain(&mut stream).await, (0, None));
}

async fn fin_before_the_stream_is_wrapped<P: Pair>() {
    let (ours, peer) = P::pair();
    drop(peer);
    let stream = MonitoredStream::new(ours).unwrap();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

async fn fin_behind_unread_data<P: Pair>() {
    if lacks("unread_data", "fin_behind_unread_data") {
        return;
    }
    let (mut stream, mut peer) = watched::<P>();
    peer.write_all(&[b'x'; 40_000]).unwrap();
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    // (4) and (5): what arrived is all there still.
    assert_eq!(drain(&mut stream).await, (40_000, None));
    assert_eq!(stream.monitor().transfer().read, 40_000);
}

async fn fin_behind_a_pipelined_request<P: Pair>() {
    if lacks("unread_data", "fin_behind_a_pipelined_request") {
        return;
    }
    let (mut stream, mut peer) = watched::<P>();
    peer.write_all(b"GET /1\r\n\r\nGET /2\r\n\r\n").unwrap();
    let mut first = [0; 10];
    soon("the first request", stream.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"GET /1\r\n\r\n");
    peer.finish();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    assert_eq!(drain(&mut stream).await, (10, None));
}

async fn reset<P: Pair>() {
    let (mut stream, peer) = watched::<P>();
    soon("a write", stream.write_all(b"unread")).await.unwrap();
    peer.reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    assert_refused(&mut stream, &CloseReason::Reset).await;
    // (4): the watcher has read the socket's error, and the reads tell it all the same.
    assert_eq!(drain(&mut stream).await, (0, Some(CONNECTION_RESET)));
}

async fn reset_with_a_reader<P: Pair>() {
    if lacks("reset_of_reads", "reset_with_a_reader") {
        return;
    }
    let (mut stream, peer) = watched::<P>();
    soon("a write", stream.write_all(b"unread")).await.unwrap();
    let monitor = stream.monitor();
    // Reader and watcher are woken by the same reset: whoever reads the error first, both tell it.
    let reader = tokio::spawn(async move { drain(&mut stream).await });
    tokio::task::yield_now().await;
    peer.reset();
    assert_eq!(
        soon("the reader", reader).await.unwrap(),
        (0, Some(CONNECTION_RESET))
    );
    assert_eq!(reason(&monitor).await, CloseReason::Reset);
}

async fn reset_behind_a_full_receive_buffer<P: Pair>() {
    if lacks("reset_of_reads", "reset_behind_a_full_receive_buffer") {
        return;
    }
    let (mut stream, mut peer) = watched::<P>();
    let (mut bare, mut bare_peer) = P::pair();
    soon("a write", stream.write_all(b"unread")).await.unwrap();
    soon("a write", bare.write_all(b"unread")).await.unwrap();
    let (filled, bare_filled) = (peer.fill(), bare_peer.fill());
    peer.reset();
    bare_peer.reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    // (5) and (9): just what a bare stream gives.
    let (bytes, end) = drain(&mut stream).await;
    let (bare_bytes, bare_end) = drain(&mut bare).await;
    assert_eq!(end, bare_end);
    assert!(0 < bytes && bytes <= filled, "{bytes} of {filled}");
    assert!(0 < bare_bytes && bare_bytes <= bare_filled);
    if !P::TCP {
        assert_eq!((bytes, bare_bytes), (filled, bare_filled));
    }
}

async fn peer_closes_with_its_own_unread_data<P: Pair>() {
    let (mut stream, peer) = watched::<P>();
    soon("a write", stream.write_all(&[b'x'; 1000]))
        .await
        .unwrap();
    // The kernel answers for a program that leaves without having read (RFC 2525, section 2.17).
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    assert_eq!(stream.monitor().transfer().accepted, 1000);
}

/// Writes until the kernel takes no more, and leaves the last write pending.
fn block<S: AsyncWrite>(writer: &mut Spawn<S>) {
    for _ in 0..100_000 {
        match writer.enter(|cx, stream| stream.poll_write(cx, &[b'x'; 65536])) {
            Poll::Ready(written) => assert!(written.unwrap() > 0),
            Poll::Pending => return,
        }
    }
    panic!("the kernel takes everything");
}

/// (6): a blocked writer is woken by the close, and refused.
async fn leave_while_a_writer_is_blocked<P: Pair>(
    leave: impl FnOnce(P::Peer) -> Option<P::Peer>,
    expected: CloseReason,
) {
    let (mut stream, peer) = watched::<P>();
    // The runtime learns that the socket is writable before it says that it is not.
    soon("a write", stream.write_all(b"x")).await.unwrap();
    let mut writer = task::spawn(&mut stream);
    block(&mut writer);
    let _still_there = leave(peer);
    assert_eq!(reason(&writer.monitor()).await, expected);
    soon("the writer's wake-up", async {
        while !writer.is_woken() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(writer);
    assert_refused(&mut stream, &expected).await;
}

async fn fin_while_a_writer_is_blocked<P: Pair>() {
    // The peer is still there and reads nothing: a bare stream's write would wait for ever.
    let leave = |peer: P::Peer| {
        peer.finish();
        Some(peer)
    };
    leave_while_a_writer_is_blocked::<P>(leave, CloseReason::PeerClosed).await;
}

async fn close_while_a_writer_is_blocked<P: Pair>() {
    // It leaves with data unread, so this is a reset.
    leave_while_a_writer_is_blocked::<P>(|_| None, CloseReason::Reset).await;
}

async fn fin_then_reset<P: Pair>() {
    if !P::TCP {
        println!("skipped: fin_then_reset: a Unix socket forgets that the FIN came first");
        return;
    }
    if lacks("reset_after_fin", "fin_then_reset") {
        return;
    }
    // Whether the watcher looks after the FIN, or only when the reset has come too.
    for _ in 0..200 {
        let (mut stream, peer) = watched::<P>();
        let monitor = stream.monitor();
        let client = std::thread::spawn(move || {
            peer.finish();
            peer.reset();
        });
        while !monitor.probe().is_closed() {
            let _ = soon("a write", stream.write(b"unread")).await;
        }
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
        client.join().unwrap();
    }
}

async fn half_close_then_close_when_allowed<P: Pair>() {
    let (mut stream, mut peer) = half_close_allowed::<P>();
    let monitor = stream.monitor();
    let mut status = monitor.subscribe();
    peer.write_all(b"request").unwrap();
    peer.finish();
    assert_eq!(drain(&mut stream).await, (7, None));
    let finished = status.wait_for(|status| *status == Status::PeerFinished);
    drop(soon("the peer's FIN", finished).await.unwrap());
    assert!(!monitor.is_closed());
    assert!(!monitor.cancellation_token().is_cancelled());
    // It still reads.
    soon("a write", stream.write_all(b"answer")).await.unwrap();
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    // Now it closes. TCP says so only when the next write is answered by a reset.
    drop(peer);
    let expected = match P::TCP {
        true => CloseReason::Reset,
        false => CloseReason::PeerClosed,
    };
    let told = soon("the write that fails", async {
        loop {
            if let Err(error) = stream.write_all(b"for nobody").await {
                return CloseReason::from(&error);
            }
            tokio::task::yield_now().await;
        }
    });
    let _ = told.await;
    assert_eq!(reason(&monitor).await, expected);
}

async fn our_shutdown_after_a_half_close<P: Pair>() {
    let (mut stream, peer) = half_close_allowed::<P>();
    let mut status = stream.monitor().subscribe();
    peer.finish();
    let finished = status.wait_for(|status| *status == Status::PeerFinished);
    drop(soon("the peer's FIN", finished).await.unwrap());
    soon("our shutdown", stream.shutdown()).await.unwrap();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
}

async fn our_shutdown_then_the_peers_fin<P: Pair>() {
    let (mut stream, mut peer) = watched::<P>();
    let monitor = stream.monitor();
    soon("a write", stream.write_all(b"all")).await.unwrap();
    soon("our shutdown", stream.shutdown()).await.unwrap();
    assert_eq!(monitor.probe(), Status::Open);
    // (8): a write after our own shutdown is our mistake, and says nothing of the peer.
    let error = soon("a write", stream.write(b"more")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(BROKEN_PIPE));
    assert_eq!(monitor.status(), Status::Open);
    let mut all = String::new();
    peer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "all");
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
}

async fn fin_in_answer_to_our_shutdown<P: Pair>() {
    // The peer's FIN may be there before our call of shutdown has returned: still it is the answer.
    for _ in 0..200 {
        let (mut stream, mut peer) = watched::<P>();
        let answer = std::thread::spawn(move || {
            let mut end = [0];
            assert_eq!(peer.read(&mut end).unwrap(), 0);
        });
        soon("our shutdown", stream.shutdown()).await.unwrap();
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
        answer.join().unwrap();
    }
}

async fn our_own_end_of_reading<P: Pair>() {
    if !P::TCP {
        println!(
            "skipped: our_own_end_of_reading: a Unix socket does not tell it from the peer's FIN"
        );
        return;
    }
    if lacks("own_end_of_reading", "our_own_end_of_reading") {
        return;
    }
    let (mut stream, mut peer) = watched::<P>();
    let mut closed = task::spawn(stream.closed());
    assert_pending!(closed.poll());
    // (8): it raises RDHUP, as a FIN does.
    SockRef::from(stream.get_ref())
        .shutdown(Shutdown::Read)
        .unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    soon("a write", stream.write_all(b"still here"))
        .await
        .unwrap();
    let mut heard = [0; 10];
    peer.read_exact(&mut heard).unwrap();
    assert!(!closed.is_woken());
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

async fn urgent_data<P: Pair>() {
    if !P::TCP {
        println!("skipped: urgent_data: not sent over Unix sockets");
        return;
    }
    let (mut stream, mut peer) = watched::<P>();
    let mut closed = task::spawn(stream.closed());
    assert_pending!(closed.poll());
    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"plain").unwrap();
    let mut plain = [0; 5];
    soon("the data behind it", stream.read_exact(&mut plain))
        .await
        .unwrap();
    assert_eq!(&plain, b"plain");
    assert_eq!(stream.monitor().probe(), Status::Open);
    assert!(!closed.is_woken());
    drop(peer);
    // A peer that leaves urgent data behind is no other than one that leaves.
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

async fn dropped_with_live_monitors<P: Pair>() {
    let (stream, mut peer) = watched::<P>();
    let (monitor, closed) = (stream.monitor(), stream.closed());
    let (mut watch, token) = (monitor.subscribe(), monitor.cancellation_token());
    drop(stream);
    // (3): the descriptor is closed, although all of these live on.
    let mut end = [0];
    assert_eq!(peer.read(&mut end).unwrap(), 0);
    assert_eq!(closed.await, CloseReason::Dropped);
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    let last = soon("the channel", watch.wait_for(Status::is_closed)).await;
    assert_eq!(last.unwrap().reason(), Some(&CloseReason::Dropped));
    assert!(token.is_cancelled());
}

async fn taken_out_of_its_wrapper<P: Pair>() {
    let (stream, mut peer) = watched::<P>();
    let monitor = stream.monitor();
    let mut bare = stream.into_inner();
    assert_eq!(reason(&monitor).await, CloseReason::Dropped);
    soon("a write", bare.write_all(b"open")).await.unwrap();
    let mut heard = [0; 4];
    peer.read_exact(&mut heard).unwrap();
    // It was unregistered: it can be wrapped anew.
    let stream = MonitoredStream::new(bare).unwrap();
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

async fn probed_while_the_runtime_is_blocked<P: Pair>() {
    let (stream, peer) = watched::<P>();
    let monitor = stream.monitor();
    assert_eq!(monitor.probe(), Status::Open);
    drop(peer);
    // No await since: on a current-thread runtime the watcher cannot have run. A thread without a
    // runtime asks as well.
    let status = std::thread::spawn(move || monitor.probe()).join().unwrap();
    assert_eq!(status, Status::Closed(CloseReason::PeerClosed));
    assert!(stream.is_closed());
}

async fn a_hundred_thousand_messages<P: Pair>() {
    let (mut stream, mut peer) = watched::<P>();
    let ((waker, wakes), mut closed) = (new_count_waker(), stream.closed());
    let cx = &mut Context::from_waker(&waker);
    assert_pending!(closed.poll_unpin(cx));
    let sender = std::thread::spawn(move || {
        for message in 0..100_000_u32 {
            peer.write_all(&message.to_be_bytes()).unwrap();
        }
        peer
    });
    for message in 0..100_000_u32 {
        assert_eq!(soon("a message", stream.read_u32()).await.unwrap(), message);
    }
    // (7)
    assert_eq!(wakes, 0);
    assert_pending!(closed.poll_unpin(cx));
    drop(sender.join().unwrap());
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    assert_eq!(wakes, 1);
}

/// The error of a refused write survives the wrappers that people put around it.
async fn reason_through_io_error<P: Pair>() {
    let (mut stream, peer) = watched::<P>();
    drop(peer);
    soon("the close", stream.closed()).await;
    let error = soon("the refusal", stream.write(b"x")).await.unwrap_err();
    let wrapped = io::Error::other(error);
    assert_eq!(CloseReason::from(&wrapped), CloseReason::PeerClosed);
}

macro_rules! matrix {
    ($($scenario:ident)*) => {
        matrix!(@runtime current_thread, "current_thread", $($scenario)*);
        matrix!(@runtime multi_thread, "multi_thread", $($scenario)*);
    };
    (@runtime $runtime:ident, $flavor:literal, $($scenario:ident)*) => {
        mod $runtime {
            matrix!(@pair tcp4, Tcp4, $flavor, $($scenario)*);
            matrix!(@pair tcp6, Tcp6, $flavor, $($scenario)*);
            #[cfg(unix)]
            matrix!(@pair unix, Unix, $flavor, $($scenario)*);
        }
    };
    (@pair $module:ident, $pair:ident, $flavor:literal, $($scenario:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = $flavor)]
                async fn $scenario() {
                    super::super::$scenario::<crate::support::$pair>().await;
                }
            )*
        }
    };
}

matrix! {
    fin_idle
    fin_before_the_stream_is_wrapped
    fin_behind_unread_data
    fin_behind_a_pipelined_request
    reset
    reset_with_a_reader
    reset_behind_a_full_receive_buffer
    peer_closes_with_its_own_unread_data
    fin_while_a_writer_is_blocked
    close_while_a_writer_is_blocked
    fin_then_reset
    half_close_then_close_when_allowed
    our_shutdown_after_a_half_close
    our_shutdown_then_the_peers_fin
    fin_in_answer_to_our_shutdown
    our_own_end_of_reading
    urgent_data
    dropped_with_live_monitors
    taken_out_of_its_wrapper
    probed_while_the_runtime_is_blocked
    a_hundred_thousand_messages
    reason_through_io_error
}
