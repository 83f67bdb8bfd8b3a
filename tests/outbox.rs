//! The outbox on real sockets.

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

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future)
        .await
        .expect("within 30 s")
}

fn quick() -> Backoff {
    Backoff::exponential(Duration::from_millis(1), Duration::from_millis(4)).unwrap()
}

fn to(address: SocketAddr) -> Builder<Bytes> {
    Outbox::builder(move || TcpStream::connect(address))
        .encoder(LengthDelimitedCodec::new)
        .backoff(quick())
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
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

fn number(message: impl AsRef<[u8]>) -> u64 {
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
    let snapshot = outbox.snapshot();
    assert_eq!(
        (snapshot.delivered, snapshot.resent, snapshot.queued),
        (10, 8, 0)
    );
}

#[tokio::test]
async fn sends_again_what_tcp_did_not_acknowledge() {
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
    let left = within(outbox.shutdown(LONG)).await;
    assert!(left.is_complete());
}
