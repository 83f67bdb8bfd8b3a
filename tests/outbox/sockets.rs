//! The outbox on real sockets.

use crate::support::{lacks, listener, within};
use bytes::Bytes;
use futures::StreamExt;
use hangup::outbox::*;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

const LONG: Duration = Duration::from_secs(30);

fn quick() -> Backoff {
    Backoff::exponential(Duration::from_millis(1), Duration::from_millis(4)).unwrap()
}

fn to(address: SocketAddr) -> Builder<Bytes> {
    Outbox::builder(
        move || TcpStream::connect(address),
        LengthDelimitedCodec::new,
    )
    .backoff(quick())
}

type Frames = FramedRead<TcpStream, LengthDelimitedCodec>;

async fn accept(listener: &TcpListener) -> Frames {
    let (stream, _) = within(listener.accept()).await.unwrap();
    FramedRead::new(stream, LengthDelimitedCodec::new())
}

async fn next(frames: &mut Frames) -> io::Result<Bytes> {
    let frame = within(frames.next()).await.expect("a frame");
    frame.map(|frame| frame.freeze())
}

#[tokio::test]
async fn delivers() {
    if lacks("acknowledged", "delivers") {
        return;
    }
    let (listener, address) = listener().await;
    let outbox = to(address).spawn().unwrap();
    let receipt = outbox.send(Bytes::from("hello")).await.unwrap();
    let mut peer = accept(&listener).await;
    assert_eq!(next(&mut peer).await.unwrap(), "hello");
    within(receipt).await.unwrap();
    let report = within(outbox.shutdown(LONG)).await;
    assert!(report.is_complete());
    assert!(within(peer.next()).await.is_none());
}

fn numbered(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(super) fn number(message: impl AsRef<[u8]>) -> u64 {
    u64::from_be_bytes(message.as_ref()[..8].try_into().unwrap())
}

fn replies() -> Confirm<Bytes> {
    Confirm::by_peer(
        |message| number(message),
        LengthDelimitedCodec::new,
        |reply| Some(Processed::One(number(reply))),
    )
}

#[tokio::test]
async fn sends_again_what_the_peer_did_not_name() {
    use futures::SinkExt;
    use tokio_util::codec::FramedWrite;
    let (listener, address) = listener().await;
    let outbox = to(address).confirm(replies()).spawn().unwrap();
    let mut receipts = Vec::new();
    for i in 0..10 {
        receipts.push(outbox.send(numbered(i)).await.unwrap());
    }
    let mut peer = accept(&listener).await;
    for i in 0..10 {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    // 3 and 5 are processed, and the connection is lost with the replies.
    let mut answers = FramedWrite::new(peer.into_inner(), LengthDelimitedCodec::new());
    answers.send(numbered(5)).await.unwrap();
    answers.send(numbered(3)).await.unwrap();
    drop(answers);
    let mut peer = accept(&listener).await;
    for i in [0, 1, 2, 4, 6, 7, 8, 9] {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    let mut answers = FramedWrite::new(peer.into_inner(), LengthDelimitedCodec::new());
    for i in [9, 8, 7, 6, 4, 2, 1, 0] {
        answers.send(numbered(i)).await.unwrap();
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    let snapshot = outbox.status();
    assert_eq!(
        (snapshot.delivered, snapshot.resent, snapshot.queued),
        (10, 8, 0)
    );
}

#[tokio::test]
async fn sends_again_what_tcp_did_not_acknowledge() {
    if lacks("acknowledged", "sends_again_what_tcp_did_not_acknowledge") {
        return;
    }
    let (listener, address) = listener().await;
    let outbox = to(address).spawn().unwrap();
    // More than both kernels' buffers hold.
    let count = 200;
    for i in 0..count {
        let mut message = vec![0; 64 * 1024];
        message[..8].copy_from_slice(&u64::to_be_bytes(i));
        drop(outbox.send(message.into()).await.unwrap());
    }
    // Each peer takes some messages, says that it is done, and reads what is still on its way: nothing
    // that was acknowledged is lost then.
    let mut seen = 0;
    let mut lives = 0;
    while seen < count {
        let mut peer = accept(&listener).await;
        lives += 1;
        let mut last = None;
        let mut taken = 0;
        while let Some(Ok(frame)) = within(peer.next()).await {
            let number = number(&frame);
            match last {
                None => assert!(number <= seen, "{number} after {seen}: lost some"),
                Some(last) => assert_eq!(number, last + 1, "in order"),
            }
            last = Some(number);
            seen = seen.max(number + 1);
            taken += 1;
            if taken == 30 || seen == count {
                within(peer.get_mut().shutdown()).await.unwrap();
            }
        }
    }
    assert!(lives > 1);
    // The last peer may have seen messages that were not acknowledged when it ended. They are sent again.
    tokio::spawn(drain(listener));
    let left = within(outbox.shutdown(LONG)).await;
    assert!(left.is_complete());
}

/// A peer that takes what comes, and acknowledges by its TCP alone.
async fn drain(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::io::copy(&mut stream, &mut tokio::io::sink())
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_full_outbox_makes_senders_wait_in_their_order() {
    if lacks(
        "acknowledged",
        "a_full_outbox_makes_senders_wait_in_their_order",
    ) {
        return;
    }
    let (listener, address) = listener().await;
    let outbox = to(address).capacity(100, 2).spawn().unwrap();
    let too_large = outbox.try_send(Bytes::from(vec![0; 101])).unwrap_err();
    assert_eq!(*too_large.reason(), RefusedReason::TooLarge);
    assert_eq!(too_large.message().len(), 101);
    drop(outbox.try_send(numbered(0)).unwrap());
    drop(outbox.try_send(numbered(1)).unwrap());
    let full = outbox.try_send(numbered(2)).unwrap_err();
    assert_eq!(*full.reason(), RefusedReason::Full);

    async fn sent(outbox: Outbox<Bytes>, i: u64) -> Receipt<Bytes> {
        outbox.send(numbered(i)).await.unwrap()
    }
    let sends = (2..10).map(|i| Box::pin(sent(outbox.clone(), i)));
    let mut sends: Vec<_> = sends.collect();
    for send in &mut sends {
        assert!(futures::poll!(send.as_mut()).is_pending());
    }
    // One that is given up is passed over.
    drop(sends.remove(3));
    let sent = tokio::spawn(futures::future::join_all(sends));
    let mut peer = accept(&listener).await;
    for i in [0, 1, 2, 3, 4, 6, 7, 8, 9] {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    for receipt in within(sent).await.unwrap() {
        within(receipt).await.unwrap();
    }
    assert!(outbox.status().bytes == 0);
}

#[tokio::test]
async fn bytes_count_too() {
    if lacks("acknowledged", "bytes_count_too") {
        return;
    }
    let (listener, address) = listener().await;
    let outbox = to(address).capacity(100, 1000).spawn().unwrap();
    drop(outbox.try_send(Bytes::from(vec![0; 60])).unwrap());
    let full = outbox.try_send(Bytes::from(vec![0; 41])).unwrap_err();
    assert_eq!(*full.reason(), RefusedReason::Full);
    drop(outbox.try_send(Bytes::from(vec![0; 40])).unwrap());
    tokio::spawn(drain(listener));
    assert!(within(outbox.shutdown(LONG)).await.is_complete());
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_back_off_says() {
    let began = tokio::time::Instant::now();
    let (tell, mut attempts) = tokio::sync::mpsc::unbounded_channel();
    let outbox: Outbox<Bytes> = Outbox::builder(
        move || {
            tell.send(began.elapsed()).unwrap();
            async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) }
        },
        LengthDelimitedCodec::new,
    )
    .backoff([1, 20, 300].map(Duration::from_millis))
    .spawn()
    .unwrap();
    let receipt = outbox.send(Bytes::from("secret")).await.unwrap();
    let mut status = outbox.subscribe();
    let retrying = status
        .wait_for(|status| matches!(status.link, Link::Retrying { attempt: 2, .. }))
        .await
        .unwrap()
        .clone();
    let Link::Retrying {
        retry_at, reason, ..
    } = retrying.link
    else {
        unreachable!()
    };
    let planned = retry_at - began;
    assert!(
        planned.abs_diff(Duration::from_millis(21)) <= Duration::from_millis(3),
        "{planned:?}"
    );
    assert_eq!(reason.class(), hangup::errors::ErrorClass::Disconnected);

    // The last delay is over, and there is no other one.
    let error = receipt.await.unwrap_err();
    assert_eq!(*error.message(), "secret");
    let UndeliveredReason::GaveUp(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.kind(), io::ErrorKind::ConnectionRefused);
    assert!(!format!("{error:?}").contains("secret"));
    for expected in [0, 1, 21, 321] {
        let expected = Duration::from_millis(expected);
        let at = attempts.recv().await.unwrap();
        // tokio's timer counts in milliseconds, and each delay may be cut by one for that.
        let off = at.abs_diff(expected);
        assert!(off <= Duration::from_millis(3), "{at:?}, not {expected:?}");
    }
    assert!(attempts.try_recv().is_err());
    let refused = outbox.send(Bytes::from("secret")).await.unwrap_err();
    assert!(matches!(refused.reason(), RefusedReason::GaveUp(_)));
    assert!(!format!("{refused:?} {refused}").contains("secret"));
    assert!(matches!(outbox.status().link, Link::GaveUp(_)));
    let left = outbox.shutdown(LONG).await.into_undelivered();
    assert_eq!(left, ["secret"], "the receipt has a clone");
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_once_for_what_no_connection_mends() {
    let outbox: Outbox<Bytes> = Outbox::builder(
        || async { Err::<TcpStream, _>(io::ErrorKind::InvalidInput.into()) },
        LengthDelimitedCodec::new,
    )
    .spawn()
    .unwrap();
    for i in 0..3 {
        drop(outbox.try_send(numbered(i)).unwrap());
    }
    let mut status = outbox.subscribe();
    let over = |status: &OutboxStatus| matches!(status.link, Link::GaveUp(_));
    let status = status.wait_for(over).await.unwrap().clone();
    let Link::GaveUp(why) = status.link else {
        unreachable!()
    };
    assert_eq!(why.kind(), io::ErrorKind::InvalidInput);
    let left = outbox.shutdown(LONG).await.into_undelivered();
    let left: Vec<u64> = left.iter().map(number).collect();
    assert_eq!(left, [0, 1, 2]);
}

/// `Acknowledged` on a stream that cannot tell: an error, and no waiting for ever.
#[tokio::test]
async fn says_where_acknowledgement_is_not_known() {
    let (near, _far) = tokio::io::duplex(1000);
    let mut near = Some(near);
    let outbox: Outbox<Bytes> = Outbox::builder(
        move || {
            let near = near.take();
            async move { Ok(hangup::MonitoredStream::unwatched(near.unwrap())) }
        },
        LengthDelimitedCodec::new,
    )
    .spawn()
    .unwrap();
    let receipt = outbox.send(numbered(1)).await.unwrap();
    let error = within(receipt).await.unwrap_err();
    let UndeliveredReason::GaveUp(why) = error.reason() else {
        panic!("{}", error.reason())
    };
    assert_eq!(why.kind(), io::ErrorKind::Unsupported);
    assert!(why.to_string().contains("Confirm::by_peer"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn best_effort_expires_while_there_is_no_connection() {
    let outbox: Outbox<Bytes> = Outbox::builder(
        || async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) },
        LengthDelimitedCodec::new,
    )
    .spawn()
    .unwrap();
    let ttl = Duration::from_millis(500);
    let began = tokio::time::Instant::now();
    let important = outbox.send(numbered(0)).await.unwrap();
    let receipt = outbox
        .send_with(numbered(1), Importance::BestEffort { ttl })
        .await
        .unwrap();
    let forgotten = outbox.try_send_with(numbered(2), Importance::BestEffort { ttl });
    drop(forgotten.unwrap());
    let error = receipt.await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    assert_eq!(number(error.message()), 1);
    let after = began.elapsed();
    assert!(
        after >= ttl && after <= ttl + Duration::from_millis(20),
        "{after:?}"
    );
    let snapshot = outbox.status();
    assert_eq!((snapshot.queued, snapshot.dropped), (1, 2));
    assert_eq!(snapshot.oldest, Some(after));
    let left = outbox.shutdown(ttl).await.into_undelivered();
    assert_eq!(left.len(), 1);
    assert_eq!(
        *important.await.unwrap_err().reason(),
        UndeliveredReason::ShutDown
    );
}

#[tokio::test]
async fn best_effort_is_not_sent_twice() {
    if lacks("acknowledged", "best_effort_is_not_sent_twice") {
        return;
    }
    let (listener, address) = listener().await;
    let outbox = to(address).confirm(replies()).spawn().unwrap();
    let first = outbox.send(numbered(0)).await.unwrap();
    let fleeting = outbox
        .send_with(numbered(1), Importance::BestEffort { ttl: LONG })
        .await
        .unwrap();
    let last = outbox.send(numbered(2)).await.unwrap();
    let mut peer = accept(&listener).await;
    for i in 0..3 {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    drop(peer);
    let error = within(fleeting).await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Unconfirmed);
    let mut peer = accept(&listener).await;
    for i in [0, 2] {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    // Half a reply and the end: what is whole counts.
    let mut stream = peer.into_inner();
    stream
        .write_all(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    stream.write_all(&[0, 0, 0, 8, 0]).await.unwrap();
    drop(stream);
    within(first).await.unwrap();
    let mut peer = accept(&listener).await;
    assert_eq!(number(next(&mut peer).await.unwrap()), 2);
    let left = within(outbox.shutdown(Duration::ZERO))
        .await
        .into_undelivered();
    assert_eq!(left.len(), 1);
    assert_eq!(
        *within(last).await.unwrap_err().reason(),
        UndeliveredReason::ShutDown
    );
}

#[tokio::test]
async fn a_message_that_the_encoder_refuses_does_not_stop_the_others() {
    if lacks(
        "acknowledged",
        "a_message_that_the_encoder_refuses_does_not_stop_the_others",
    ) {
        return;
    }
    let (listener, address) = listener().await;
    let short = || {
        let mut codec = LengthDelimitedCodec::builder();
        codec.max_frame_length(10).new_codec()
    };
    let outbox: Outbox<Bytes> = Outbox::builder(move || TcpStream::connect(address), short)
        .spawn()
        .unwrap();
    let first = outbox.send(numbered(0)).await.unwrap();
    let refused = outbox.send(Bytes::from(vec![0; 11])).await.unwrap();
    let last = outbox.send(numbered(1)).await.unwrap();
    let mut peer = accept(&listener).await;
    for i in 0..2 {
        assert_eq!(number(next(&mut peer).await.unwrap()), i);
    }
    let error = within(refused).await.unwrap_err();
    assert!(
        matches!(error.reason(), UndeliveredReason::EncodeFailed(_)),
        "{error}"
    );
    assert_eq!(error.message().len(), 11);
    within(first).await.unwrap();
    within(last).await.unwrap();
}

#[tokio::test]
async fn a_sink_waits_for_room_and_not_for_delivery() {
    if lacks("acknowledged", "a_sink_waits_for_room_and_not_for_delivery") {
        return;
    }
    use futures::SinkExt;
    let (listener, address) = listener().await;
    let outbox = to(address).capacity(1000, 4).spawn().unwrap();
    let mut sink = outbox.sink();
    for i in 0..4 {
        within(sink.send(numbered(i))).await.unwrap();
    }
    within(sink.feed(numbered(4))).await.unwrap();
    assert!(futures::poll!(SinkExt::<Bytes>::flush(&mut sink)).is_pending());
    let mut peer = accept(&listener).await;
    within(SinkExt::<Bytes>::close(&mut sink)).await.unwrap();
    let mut rest = futures::stream::iter((5..50).map(|i| Ok(numbered(i))));
    let forwarded = async { sink.send_all(&mut rest).await.unwrap() };
    let received = async {
        for i in 0..50 {
            assert_eq!(number(next(&mut peer).await.unwrap()), i);
        }
    };
    within(async { tokio::join!(forwarded, received) }).await;
    assert!(within(outbox.shutdown(LONG)).await.is_complete());
    let error = within(sink.send(numbered(50))).await.unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::ShutDown);
}

/// A loop of `feed` kept the thread until the outbox was full: no other task ran, and nothing was written.
#[tokio::test]
async fn a_loop_of_feeds_lets_other_tasks_run() {
    use futures::SinkExt;
    const COUNT: u64 = 10_000;
    let connect = std::future::pending::<io::Result<TcpStream>>;
    let outbox = Outbox::builder(connect, LengthDelimitedCodec::new)
        .spawn()
        .unwrap();
    let mut sink = outbox.sink();
    let other = tokio::spawn(async {});
    for i in 0..COUNT {
        within(sink.feed(numbered(i))).await.unwrap();
    }
    assert!(other.is_finished());
    assert_eq!(outbox.status().queued, COUNT as usize);
}

/// The error came from the next `poll_ready`.
#[tokio::test]
async fn a_sink_refuses_what_does_not_fit_at_once() {
    use futures::SinkExt;
    let connect = std::future::pending::<io::Result<TcpStream>>;
    let builder = Outbox::builder(connect, LengthDelimitedCodec::new).capacity(1000, 1);
    let outbox = builder.overflow(Overflow::Refuse).spawn().unwrap();
    let mut sink = outbox.sink();
    sink.start_send_unpin(numbered(0)).unwrap();
    let error = sink.start_send_unpin(numbered(1)).unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::Full);
    assert_eq!(number(error.message()), 1);
    within(SinkExt::<Bytes>::flush(&mut sink)).await.unwrap();
}

/// What the last handle leaves is delivered still, and then the task ends.
#[tokio::test]
async fn the_last_handle_leaves_a_task_that_ends() {
    if lacks("acknowledged", "the_last_handle_leaves_a_task_that_ends") {
        return;
    }
    let (listener, address) = listener().await;
    let (outbox, task) = to(address).build().unwrap();
    let task = tokio::spawn(task);
    let receipt = outbox.clone().send(numbered(0)).await.unwrap();
    drop(outbox);
    let mut peer = accept(&listener).await;
    assert_eq!(number(next(&mut peer).await.unwrap()), 0);
    within(receipt).await.unwrap();
    within(task).await.unwrap();
    assert!(within(peer.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_leaves_a_task_that_ends_without_a_peer_too() {
    let linger = Duration::from_secs(3);
    let (outbox, task) = Outbox::builder(
        || async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) },
        LengthDelimitedCodec::new,
    )
    .linger(linger)
    .build()
    .unwrap();
    let task = tokio::spawn(task);
    let receipt = outbox.send(numbered(7)).await.unwrap();
    let began = tokio::time::Instant::now();
    drop(outbox);
    let error = receipt.await.unwrap_err();
    assert_eq!(
        (number(error.message()), error.reason().clone()),
        (7, UndeliveredReason::ShutDown)
    );
    task.await.unwrap();
    let took = began.elapsed();
    assert!(
        took >= linger && took <= linger + Duration::from_millis(2),
        "{took:?}"
    );
}

/// A task that nobody runs, or that is dropped, leaves nobody waiting.
#[tokio::test]
async fn nobody_waits_for_a_task_that_is_gone() {
    let (_listener, address) = listener().await;
    let (outbox, task) = to(address).capacity(100, 1).build().unwrap();
    let mut receipt = outbox.send(numbered(0)).await.unwrap();
    let mut blocked = Box::pin(outbox.send(numbered(1)));
    assert!(futures::poll!(&mut receipt).is_pending());
    assert!(futures::poll!(blocked.as_mut()).is_pending());
    drop(task);
    assert_eq!(
        *within(receipt).await.unwrap_err().reason(),
        UndeliveredReason::TaskGone
    );
    let error = within(blocked).await.unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::TaskGone);
    assert_eq!(number(error.message()), 1);
}

#[tokio::test]
async fn a_shutdown_comes_back_though_nobody_runs_the_task() {
    let (_listener, address) = listener().await;
    let (outbox, _task) = to(address).build().unwrap();
    drop(outbox.send(numbered(0)).await.unwrap());
    let left = within(outbox.shutdown(Duration::from_millis(1))).await;
    assert_eq!(left.undelivered().len(), 1);
}

#[test]
fn refuses_what_cannot_work() {
    let connect = || TcpStream::connect("127.0.0.1:1");
    let outside = Outbox::<Bytes>::builder(connect, LengthDelimitedCodec::new).spawn();
    assert_eq!(outside.unwrap_err().kind(), io::ErrorKind::NotConnected);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let empty = Outbox::<Bytes>::builder(connect, LengthDelimitedCodec::new)
        .capacity(0, 1)
        .spawn();
    assert_eq!(empty.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn refuses_a_back_off_that_makes_no_sense() {
    let ms = Duration::from_millis;
    let first = Backoff::exponential(ms(0), ms(10)).unwrap_err();
    assert_eq!(first, BackoffError::FirstTooShort(ms(0)));
    let above = Backoff::exponential(ms(20), ms(10)).unwrap_err();
    assert!(above.to_string().contains("20ms") && above.to_string().contains("10ms"));
    assert!(Backoff::exponential(ms(1), ms(1000 * 60 * 60 * 25)).is_err());
    // Jitter never exceeds what was asked for, and the delays grow to the longest.
    for _ in 0..100 {
        let backoff = Backoff::exponential(ms(10), ms(100)).unwrap();
        let delays: Vec<_> = backoff.attempts(30).into_iter().collect();
        assert_eq!(delays.len(), 30);
        assert!(delays[0] >= ms(5) && delays[0] <= ms(10));
        assert!(delays[1] >= ms(10) && delays[1] <= ms(20));
        assert!(
            delays[5..]
                .iter()
                .all(|delay| (ms(50)..=ms(100)).contains(delay))
        );
    }
}

/// A peer that does not read: what its kernel has not acknowledged is not confirmed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn confirms_no_more_than_is_acknowledged() {
    use std::sync::{Arc, Mutex};
    let (listener, address) = listener().await;
    let monitors = Arc::new(Mutex::new(Vec::new()));
    let kept = monitors.clone();
    let outbox: Outbox<Bytes> = Outbox::builder(
        move || {
            let kept = kept.clone();
            async move {
                let stream = hangup::MonitoredStream::new(TcpStream::connect(address).await?)?;
                kept.lock().unwrap().push(stream.monitor());
                Ok(stream)
            }
        },
        LengthDelimitedCodec::new,
    )
    .capacity(usize::MAX, usize::MAX)
    .spawn()
    .unwrap();
    let _peer = accept(&listener).await;
    let mut status = outbox.subscribe();
    let connected = |status: &OutboxStatus| status.link == Link::Connected;
    drop(within(status.wait_for(connected)).await.unwrap());
    // More than both kernels' buffers hold.
    for _ in 0..400 {
        drop(outbox.send(Bytes::from(vec![0; 64 * 1024])).await.unwrap());
    }
    for _ in 0..3 {
        within(status.changed()).await.unwrap();
        let confirmed = outbox.status().delivered * (4 + 64 * 1024);
        let acknowledged = monitors.lock().unwrap()[0].transfer().acknowledged;
        let acknowledged = acknowledged.unwrap();
        assert!(confirmed <= acknowledged, "{confirmed} of {acknowledged}");
    }
    let snapshot = outbox.status();
    assert!(
        snapshot.delivered > 0 && snapshot.unconfirmed > 0,
        "{snapshot:?}"
    );
}
