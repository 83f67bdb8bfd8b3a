//! Frames over a monitored stream, and `Stream`s and `Sink`s that end with it.

#![cfg(all(unix, feature = "codec"))]

use crate::support::{Pair, Peer, Tcp4, Unix, reason, soon};
use futures::channel::mpsc;
use futures::stream;
use futures::{FutureExt, Sink, SinkExt, StreamExt};
use futures_test::task::new_count_waker;
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream, SinkError, UntilClosedExt};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::Context;
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{
    BytesCodec, Framed, FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec,
};

/// Much more than one read takes, and less than a socket buffers.
const LINES: usize = 5000;

/// (5): what arrived before the hang-up is all yielded, although the stream is over before the first frame
/// is asked for, and then comes the end.
async fn all_frames_that_arrived_are_yielded<P: Pair>() {
    let (io, mut peer) = P::pair();
    let stream = MonitoredStream::new(io).unwrap();
    let monitor = stream.monitor();
    let lines: String = (0..LINES).map(|line| format!("{line}\n")).collect();
    peer.write_all(lines.as_bytes()).unwrap();
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    let mut frames = Framed::new(stream, LinesCodec::new());
    for line in 0..LINES {
        let frame = soon("a frame", frames.next()).await.unwrap().unwrap();
        assert_eq!(frame, line.to_string());
    }
    assert!(soon("the end", frames.next()).await.is_none());
    assert_eq!(monitor.transfer().read, lines.len() as u64);
}

#[tokio::test]
async fn all_frames_that_arrived_are_yielded_tcp() {
    all_frames_that_arrived_are_yielded::<Tcp4>().await;
}

#[tokio::test]
async fn all_frames_that_arrived_are_yielded_unix() {
    all_frames_that_arrived_are_yielded::<Unix>().await;
}

/// The two tasks of a reader and the watcher are on two threads here: whoever comes first, no frame is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_is_lost_between_the_reader_and_the_watcher() {
    for _ in 0..100 {
        let (io, mut peer) = Tcp4::pair();
        let stream = MonitoredStream::new(io).unwrap();
        let frames = FramedRead::new(stream, LinesCodec::new());
        let reader = tokio::spawn(frames.map(Result::unwrap).count());
        for line in 0..100 {
            writeln!(peer, "{line}").unwrap();
        }
        drop(peer);
        assert_eq!(soon("the end", reader).await.unwrap(), 100);
    }
}

/// A reset tells the reader itself, after what had arrived.
#[tokio::test]
async fn a_reset_ends_frames_with_its_error() {
    let (io, mut peer) = Tcp4::pair();
    let stream = MonitoredStream::new(io).unwrap();
    let monitor = stream.monitor();
    peer.write_all(b"one\ntwo").unwrap();
    peer.reset();
    assert_eq!(reason(&monitor).await, CloseReason::Reset);
    let mut frames = FramedRead::new(stream, BytesCodec::new());
    let arrived = soon("a frame", frames.next()).await.unwrap().unwrap();
    assert_eq!(arrived, BytesMut::from("one\ntwo"));
    let error = soon("the error", frames.next()).await.unwrap().unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::Reset);
    assert!(soon("the end", frames.next()).await.is_none());
}

/// (6): a send that is pending is woken by the hang-up, and fails with the reason.
#[tokio::test]
async fn a_pending_send_of_frames_fails_with_the_reason() {
    let (io, peer) = Tcp4::pair();
    let mut frames = FramedWrite::new(
        MonitoredStream::new(io).unwrap(),
        LengthDelimitedCodec::new(),
    );
    let chunk = Bytes::from_static(&[7; 65536]);
    let mut sender = tokio::spawn(async move {
        loop {
            if let Err(error) = frames.send(chunk.clone()).await {
                break (error, frames);
            }
        }
    });
    let patience = std::time::Duration::from_millis(500);
    let blocked = tokio::time::timeout(patience, &mut sender).await;
    assert!(blocked.is_err());
    peer.reset();
    let (error, mut frames) = soon("the refusal", sender).await.unwrap();
    assert_eq!(CloseReason::from(&error), CloseReason::Reset);
    let error = soon("a refusal", frames.send(Bytes::new()))
        .await
        .unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Reset));
}

/// With half-close allowed, frames go both ways, and the answer comes after the peer's last frame.
#[tokio::test]
async fn frames_are_answered_after_a_half_close() {
    let (io, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let stream = MonitoredStream::with_config(io, &config).unwrap();
    let monitor = stream.monitor();
    let mut frames = Framed::new(stream, LinesCodec::new());
    peer.write_all(b"one\ntwo\n").unwrap();
    peer.finish();
    let mut count = 0;
    while let Some(frame) = soon("a frame", frames.next()).await {
        count += frame.unwrap().len();
    }
    frames.send(count.to_string()).await.unwrap();
    SinkExt::<String>::close(&mut frames).await.unwrap();
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "6\n");
}

#[tokio::test]
async fn a_source_ends_at_once() {
    let (io, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(io).unwrap();
    let monitor = stream.monitor();
    let mut endless = stream::repeat(1).until_closed(&monitor);
    let mut blocked = stream::pending::<u8>().until_closed(&monitor);
    assert_eq!(endless.next().await, Some(1));
    let (waker, wakes) = new_count_waker();
    let cx = &mut Context::from_waker(&waker);
    assert_pending!(blocked.poll_next_unpin(cx));
    assert_eq!((wakes.get(), blocked.close_reason()), (0, None));

    peer.finish();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_eq!(wakes, 1);
    for _ in 0..2 {
        assert_ready_eq!(blocked.poll_next_unpin(cx), None);
        assert_ready_eq!(endless.poll_next_unpin(cx), None);
    }
    assert_eq!(blocked.close_reason(), Some(&CloseReason::PeerClosed));
    assert_eq!(endless.close_reason(), Some(&CloseReason::PeerClosed));
    assert_eq!(wakes, 1);
}

/// A source that ends by itself has no reason, and a later hang-up gives it none.
#[tokio::test]
async fn a_source_that_ends_by_itself_has_no_reason() {
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let mut source = stream::iter([1, 2]).until_closed(&stream.monitor());
    assert_eq!(source.by_ref().collect::<Vec<_>>().await, [1, 2]);
    assert_eq!(source.close_reason(), None);
}

#[tokio::test]
async fn a_pending_sink_is_woken_and_refuses() {
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    // The task that takes from the channel has stopped to.
    let (sender, _receiver) = mpsc::channel::<u8>(0);
    let mut sink = sender.until_closed(&stream.monitor());
    sink.feed(1).await.unwrap();
    let (waker, wakes) = new_count_waker();
    let cx = &mut Context::from_waker(&waker);
    assert_pending!(sink.poll_ready_unpin(cx));
    assert_eq!(wakes, 0);
    stream.abort();
    assert_eq!(wakes, 1);
    let refused = SinkError::Closed(CloseReason::Aborted);
    assert_ready_eq!(sink.poll_ready_unpin(cx), Err(refused.clone()));
    assert_eq!(Pin::new(&mut sink).start_send(2), Err(refused.clone()));
    assert_eq!(sink.flush().await, Err(refused.clone()));
    assert_eq!(SinkExt::<u8>::close(&mut sink).await, Err(refused));
}

/// Two tasks may have the two halves of one: both are woken.
#[tokio::test]
async fn both_halves_are_woken() {
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let (io, _peer) = tokio::io::duplex(1);
    let frames = Framed::new(io, LinesCodec::new()).until_closed(&stream.monitor());
    let (mut sink, mut source) = frames.split::<String>();
    let ((taker, takes), (yielder, yields)) = (new_count_waker(), new_count_waker());
    let taking = &mut Context::from_waker(&taker);
    let yielding = &mut Context::from_waker(&yielder);
    let mut send = sink.send("longer than the buffer".to_owned());
    assert_pending!(send.poll_unpin(taking));
    assert_pending!(source.poll_next_unpin(yielding));
    stream.abort();
    assert_eq!((takes.get(), yields.get()), (1, 1));
    assert_ready!(send.poll_unpin(taking)).unwrap_err();
    assert!(assert_ready!(source.poll_next_unpin(yielding)).is_none());
}

/// The wrapped sink's own errors are told as they are.
#[tokio::test]
async fn a_sinks_own_error_is_its_own() {
    let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let (io, peer) = tokio::io::duplex(64);
    drop(peer);
    let frames = FramedWrite::new(io, BytesCodec::new());
    let mut sink = frames.until_closed(&stream.monitor());
    let error = sink.send(Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(&error, SinkError::Sink(_)));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
}
