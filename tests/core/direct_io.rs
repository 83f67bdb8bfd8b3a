//! Reads and writes that do not wait: counted, refused and woken as those that do.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{Pair, Peer, Tcp4, Unix, reason, soon, watched};
use hangup::{CloseReason, DirectIo, HalfClose, MonitorConfig, MonitoredStream, Status};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio_test::{assert_pending, assert_ready_ok, task};

fn is_would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Waits until there is something, and reads it.
async fn read<S: DirectIo>(stream: &mut MonitoredStream<S>, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        soon("input", stream.readable()).await?;
        let read = stream.try_read(buf);
        if !is_would_block(&read) {
            return read;
        }
    }
}

/// Writes until the kernel takes no more.
async fn fill<S: DirectIo>(stream: &mut MonitoredStream<S>) -> u64 {
    let mut taken = 0;
    soon("room", stream.writable()).await.unwrap();
    loop {
        match stream.try_write(&[b'x'; 65536]) {
            Ok(bytes) => taken += bytes as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Through `get_ref` a `try_write` was not counted, the number of acknowledged bytes became unknown for good, and
/// after the close it failed with a raw EPIPE.
#[tokio::test]
async fn a_direct_write_is_counted_and_acknowledged() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    soon("room", stream.writable()).await.unwrap();
    assert_eq!(stream.try_write(b"hello").unwrap(), 5);
    let parts = [IoSlice::new(b", "), IoSlice::new(b"world")];
    assert_eq!(stream.try_write_vectored(&parts).unwrap(), 7);
    let mut heard = [0; 12];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello, world");
    soon("the acknowledgement", stream.wait_acknowledged())
        .await
        .unwrap();
    let transfer = stream.monitor().transfer();
    assert_eq!((transfer.accepted, transfer.acknowledged), (12, Some(12)));
}

async fn refused<P: Pair>()
where
    P::Ours: DirectIo,
{
    let (mut stream, mut peer) = watched::<P>();
    peer.write_all(b"last words").unwrap();
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    // Nothing that arrived is lost (5).
    let mut heard = [0; 4];
    assert_eq!(read(&mut stream, &mut heard).await.unwrap(), 4);
    let mut rest = [0; 64];
    assert_eq!(read(&mut stream, &mut rest).await.unwrap(), 6);
    assert_eq!((&heard[..], &rest[..6]), (&b"last"[..], &b" words"[..]));
    assert_eq!(read(&mut stream, &mut rest).await.unwrap(), 0);
    // (6), whatever the form of the write.
    soon("the refusal", stream.writable()).await.unwrap();
    for written in [
        stream.try_write(b"for nobody"),
        stream.try_write_vectored(&[IoSlice::new(b"for nobody")]),
    ] {
        let error = written.unwrap_err();
        assert_eq!(
            CloseReason::carried_by(&error),
            Some(&CloseReason::PeerClosed)
        );
    }
    let transfer = stream.monitor().transfer();
    assert_eq!((transfer.read, transfer.accepted), (10, 0));
}

#[tokio::test]
async fn a_closed_stream_refuses_direct_writes() {
    refused::<Tcp4>().await;
    refused::<Unix>().await;
}

async fn woken<P: Pair>(half_close: HalfClose)
where
    P::Ours: DirectIo,
{
    let (ours, peer) = P::pair();
    let config = MonitorConfig::new().half_close(half_close);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let taken = fill(&mut stream).await;
    assert_eq!(stream.monitor().accepted(), taken);
    let monitor = stream.monitor();
    {
        let mut readable = task::spawn(stream.readable());
        assert_pending!(readable.poll());
        let mut writable = task::spawn(stream.writable());
        assert_pending!(writable.poll());
        monitor.abort();
        soon("the wake of the writer", &mut writable).await.unwrap();
        soon("the wake of the reader", &mut readable).await.unwrap();
    }
    for refused in [
        stream.try_write(b"!").unwrap_err(),
        stream.try_read(&mut [0]).unwrap_err(),
    ] {
        assert_eq!(CloseReason::from(&refused), CloseReason::Aborted);
    }
    drop(peer);
}

#[tokio::test]
async fn an_abort_wakes_those_who_wait_for_readiness() {
    woken::<Tcp4>(HalfClose::Close).await;
    woken::<Tcp4>(HalfClose::Allow).await;
    woken::<Unix>(HalfClose::Close).await;
}

/// The kernel does not say that there is room when a peer that reads nothing sends its FIN.
#[tokio::test]
async fn a_fin_wakes_the_one_who_waits_for_room() {
    let (mut stream, peer) = watched::<Tcp4>();
    fill(&mut stream).await;
    let mut writable = task::spawn(stream.writable());
    assert_pending!(writable.poll());
    peer.finish();
    soon("the wake", &mut writable).await.unwrap();
    drop(writable);
    let error = stream.try_write(b"!").unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
    drop(peer);
}

/// (10): a server answers an upload with a 413 and a FIN. A client that waits by `readable` is about to find it.
#[tokio::test]
async fn a_write_is_let_through_while_the_reader_waits_for_the_answer() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    {
        let mut readable = task::spawn(stream.readable());
        assert_pending!(readable.poll());
    }
    peer.finish();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_eq!(stream.try_write(b"upload").unwrap(), 6);
    let mut heard = [0; 6];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(read(&mut stream, &mut heard).await.unwrap(), 0);
    let error = stream.try_write(b"upload").unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
}

#[tokio::test]
async fn a_half_closed_stream_goes_on() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    peer.finish();
    assert_eq!(read(&mut stream, &mut [0]).await.unwrap(), 0);
    assert_eq!(stream.monitor().status(), Status::PeerFinished);
    assert_eq!(stream.try_write(b"answer").unwrap(), 6);
    let mut heard = [0; 6];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"answer");
}

/// An error of the socket that the watcher took is told by the read (4).
#[tokio::test]
async fn a_direct_read_reports_the_reset() {
    let (mut stream, peer) = watched::<Tcp4>();
    peer.reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    let error = read(&mut stream, &mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_peek_takes_nothing() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let mut seen = [0; 8];
    assert_pending!(task::spawn(stream.peek(&mut seen)).poll());
    peer.write_all(b"hello").unwrap();
    for _ in 0..2 {
        assert_eq!(soon("a look", stream.peek(&mut seen)).await.unwrap(), 5);
        assert_eq!(&seen[..5], b"hello");
    }
    assert_eq!(stream.monitor().transfer().read, 0);
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    drop(peer);
    assert_eq!(soon("the end", stream.peek(&mut seen)).await.unwrap(), 0);
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
}

/// What a write has moved aside comes first, for every form of reading.
#[tokio::test]
async fn direct_reads_see_what_was_moved_aside() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().read_ahead(1024);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    peer.write_all(b"hello").unwrap();
    peer.finish();
    crate::support::until(&stream, rustix::event::PollFlags::RDHUP);
    // The write looks past the input, and finds the FIN.
    let _ = soon("room", stream.ready(Interest::WRITABLE))
        .await
        .unwrap();
    soon("the input", stream.readable()).await.unwrap();
    let _ = stream.try_write(b"!");
    assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
    assert_ready_ok!(task::spawn(stream.readable()).poll());
    let mut seen = [0; 8];
    assert_eq!(
        assert_ready_ok!(task::spawn(stream.peek(&mut seen)).poll()),
        5
    );
    assert_eq!(stream.try_read(&mut seen[..2]).unwrap(), 2);
    assert_eq!(stream.try_read(&mut seen[2..]).unwrap(), 3);
    assert_eq!(&seen[..5], b"hello");
    assert_eq!(read(&mut stream, &mut seen).await.unwrap(), 0);
}

#[tokio::test]
async fn an_empty_buffer_means_nothing() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    peer.write_all(b"!").unwrap();
    soon("input", stream.readable()).await.unwrap();
    assert_eq!(stream.try_read(&mut []).unwrap(), 0);
    assert_eq!(soon("a look", stream.peek(&mut [])).await.unwrap(), 0);
    assert_eq!(stream.close_reason(), None);
    assert_eq!(stream.try_read(&mut [0]).unwrap(), 1);
}

/// As [`an_empty_buffer_means_nothing`], for input that a write has moved aside: the read waited for more.
#[tokio::test]
async fn an_empty_buffer_finds_what_was_moved_aside() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().read_ahead(1024);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    peer.write_all(b"!").unwrap();
    soon("input", stream.readable()).await.unwrap();
    soon("a write", stream.write_all(b"x")).await.unwrap();
    let empty = assert_ready_ok!(task::spawn(stream.read(&mut [])).poll());
    assert_eq!(empty, 0);
    assert_eq!(soon("a look", stream.peek(&mut [])).await.unwrap(), 0);
    assert_eq!(stream.try_read(&mut [0]).unwrap(), 1);
}

/// A write has read ahead, and has been given the error of the connection. A peek found the end of the input, and took a
/// message that was cut for a whole one.
#[tokio::test]
async fn a_peek_reports_the_reset_that_a_write_has_found() {
    for unread in [&b""[..], b"hello"] {
        let (ours, mut peer) = Tcp4::pair();
        let config = MonitorConfig::new().read_ahead(1024);
        let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
        peer.write_all(unread).unwrap();
        // What is unread at the reset is lost, unless a write has moved it aside.
        if !unread.is_empty() {
            soon("input", stream.readable()).await.unwrap();
        }
        soon("a write", stream.write_all(b"x")).await.unwrap();
        peer.reset();
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
        stream.write_all(b"x").await.unwrap_err();
        stream.read_exact(&mut vec![0; unread.len()]).await.unwrap();
        let error = soon("a look", stream.peek(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // The system tells an error once.
        assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
    }
}

/// A task is about to return from a read that is pending, and tries once more. The try took the place where the read waits: a
/// write that read ahead then moved the input aside and woke nobody.
#[tokio::test]
async fn a_try_does_not_put_a_pending_read_to_sleep() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().read_ahead(1024);
    let stream = MonitoredStream::with_config(ours, &config).unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let mut heard = [0; 5];
    let mut reading = task::spawn(poll_fn(|cx| {
        let mut room = ReadBuf::new(&mut heard);
        let polled = Pin::new(&mut reader).poll_read(cx, &mut room);
        if polled.is_pending() {
            assert!(is_would_block(&reader.try_read(&mut [0])));
        }
        polled.map_ok(|()| room.filled().len())
    }));
    assert_pending!(reading.poll());
    soon("a write", writer.write_all(b"x")).await.unwrap();
    peer.write_all(b"hello").unwrap();
    soon("input", async {
        while !reading.is_woken() {
            tokio::task::yield_now().await;
            writer.write_all(b"x").await.unwrap();
        }
    })
    .await;
    assert_eq!(assert_ready_ok!(reading.poll()), 5);
}

/// As [`a_try_does_not_put_a_pending_read_to_sleep`], for a write, which the close is to wake.
async fn tried_beside_a_pending_write<P: Pair>(
    config: &MonitorConfig,
    closes: impl FnOnce(&P::Peer),
) where
    P::Ours: DirectIo,
{
    let (ours, peer) = P::pair();
    let mut stream = MonitoredStream::with_config(ours, config).unwrap();
    fill(&mut stream).await;
    let mut writing = task::spawn(poll_fn(|cx| {
        loop {
            match Pin::new(&mut stream).poll_write(cx, &[b'x'; 65536]) {
                Poll::Ready(Ok(_)) => {}
                polled => {
                    let tried = stream.try_write(b"x");
                    assert!(polled.is_ready() || is_would_block(&tried));
                    return polled;
                }
            }
        }
    }));
    // The kernels may make room until their buffers have their final sizes.
    while assert_pending_for_now(&mut writing).await {}
    closes(&peer);
    // As its runtime does: it is polled when it was woken.
    let refused = soon("the refusal", async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if writing.is_woken()
                && let Poll::Ready(written) = writing.poll()
            {
                return written;
            }
        }
    })
    .await;
    refused.unwrap_err();
    drop(peer);
}

/// Polls a write, which must be pending, and returns whether it was woken within a moment.
async fn assert_pending_for_now<F: Future<Output: std::fmt::Debug>>(
    writing: &mut task::Spawn<F>,
) -> bool {
    assert_pending!(writing.poll());
    tokio::time::sleep(Duration::from_millis(50)).await;
    writing.is_woken()
}

#[tokio::test]
async fn a_try_does_not_put_a_pending_write_to_sleep() {
    let plain = MonitorConfig::new();
    tried_beside_a_pending_write::<Tcp4>(&plain, Peer::finish).await;
    tried_beside_a_pending_write::<Unix>(&plain, Peer::finish).await;
    // Input, and the end behind it, that only the pending write looks for.
    let ahead = MonitorConfig::new().read_ahead(64 << 20);
    tried_beside_a_pending_write::<Tcp4>(&ahead, |peer| {
        let mut peer = peer.try_clone().unwrap();
        peer.fill();
        peer.finish();
    })
    .await;
}

/// At the end of a runtime tokio lets its timers fire, and they cannot be set again. A try that only looked whether its timer had
/// fired went round until the window was over, and blamed the peer.
#[test]
fn a_try_after_the_end_of_its_runtime_blames_no_peer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = crate::support::stall(1, Duration::from_secs(5));
    let (mut stream, _peer) = runtime.block_on(async {
        let (ours, peer) = Unix::pair();
        let mut stream = MonitoredStream::unwatched_with_config(ours, &config);
        fill(&mut stream).await;
        (stream, peer)
    });
    drop(runtime);
    let error = stream.try_write(b"x").unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::RuntimeShutdown)
    );
}

/// The timer of a stall policy is that of the pending call.
#[tokio::test]
async fn a_try_does_not_put_the_timer_of_a_stall_to_sleep() {
    let config = crate::support::stall(1, Duration::from_secs(1));
    tried_beside_a_pending_write::<Unix>(&config, |_| ()).await;
}

#[tokio::test]
async fn addresses() {
    let (stream, peer) = watched::<Tcp4>();
    assert_eq!(stream.peer_addr().unwrap(), peer.local_addr().unwrap());
    assert_eq!(stream.local_addr().unwrap(), peer.peer_addr().unwrap());
    stream.set_nodelay(true).unwrap();
    assert!(stream.nodelay().unwrap() && stream.get_ref().nodelay().unwrap());
    let (stream, _peer) = watched::<Unix>();
    assert!(stream.peer_addr().unwrap().is_unnamed());
    assert!(stream.local_addr().unwrap().is_unnamed());
}

/// (5) A peer answers, and resets the connection. A program that asks for both is told to read what it can still read, and not
/// only that a write would fail.
#[tokio::test]
async fn readiness_tells_of_input_in_front_of_a_reset() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    peer.write_all(b"answer").unwrap();
    peer.reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    let ready = stream.ready(Interest::READABLE | Interest::WRITABLE);
    let ready = soon("readiness", ready).await.unwrap();
    assert!(ready.is_readable() && ready.is_write_closed(), "{ready:?}");
    let mut heard = [0; 9];
    assert_eq!(stream.try_read(&mut heard).unwrap(), 6);
}
