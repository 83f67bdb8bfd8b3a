//! Messages that the peer's TCP confirms: progress on short connections, and what does not count as health.
#![cfg(target_os = "linux")]

use crate::support::soon;
use crate::wire::wire;
use bytes::Bytes;
use hangup::MonitoredStream;
use hangup::outbox::*;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

/// A listener whose connections take little more than their program reads.
fn narrow() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;

/// Every connection lives for 40 KB. A batch of 64 KiB counted as acknowledged at its end only: nothing was ever
/// confirmed, and everything was sent again and again.
async fn short_connections(connect: fn(SocketAddr) -> Connecting) {
    const COUNT: u64 = 50;
    let (listener, address) = narrow();
    let outbox = Outbox::builder(move || connect(address), LengthDelimitedCodec::new)
        .backoff(std::iter::repeat(Duration::from_millis(1)))
        .spawn()
        .unwrap();
    for _ in 0..COUNT {
        drop(outbox.send(Bytes::from(vec![7; 8 * 1024])).await.unwrap());
    }
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut life = vec![0; 40_000];
            let _ = stream.read_exact(&mut life).await;
        }
    });
    let mut states = outbox.subscribe();
    let all = states.wait_for(|status| status.delivered == COUNT);
    soon("all messages", all).await.unwrap();
}

#[tokio::test]
async fn short_connections_make_progress() {
    short_connections(|address| {
        Box::pin(async move { TcpStream::connect(address).await.map(Into::into) })
    })
    .await;
}

/// Above a layer only the end of a batch tells: batches get shorter.
#[tokio::test]
async fn short_connections_below_a_layer_make_progress() {
    short_connections(|address| {
        Box::pin(async move {
            let stream = MonitoredStream::new(TcpStream::connect(address).await?)?;
            let monitor = stream.monitor();
            Ok(Connection::over(
                BufStream::with_capacity(1, 200_000, stream),
                monitor,
            ))
        })
    })
    .await;
}

/// A back-off that counts how often it starts.
#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);

impl IntoIterator for Counted {
    type Item = Duration;
    type IntoIter = std::iter::Repeat<Duration>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::iter::repeat(Duration::from_millis(1))
    }
}

/// A load balancer without a back end accepts, acknowledges, and closes. Its acknowledgements counted as health: the
/// back-off started anew each time, and the balancer was stormed.
#[tokio::test]
async fn an_acknowledgement_does_not_start_the_back_off_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let starts = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox::builder(
        move || TcpStream::connect(address),
        LengthDelimitedCodec::new,
    )
    .backoff(Counted(starts.clone()))
    .spawn()
    .unwrap();
    for round in 0..10 {
        let receipt = outbox.send(Bytes::from_static(b"message")).await.unwrap();
        let (mut stream, _) = soon("a connection", listener.accept()).await.unwrap();
        let delivered = soon("the acknowledgement", receipt).await.unwrap();
        assert_eq!(delivered.confirmed_by(), ConfirmedBy::Tcp);
        let started = starts.load(Ordering::SeqCst);
        assert_eq!(started, 1, "after {round} connections");
        if round == 9 {
            // A byte of the peer's program shows that it lives.
            stream.write_all(b"!").await.unwrap();
            // It is read before the end is seen.
            stream.shutdown().await.unwrap();
        }
        drop(stream);
    }
    let (stream, _) = soon("the next connection", listener.accept())
        .await
        .unwrap();
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    drop(stream);
}

/// Of a stream above a layer nothing is known of acknowledgements. The messages were written first, and then the
/// outbox gave up.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_where_acknowledgements_are_not_known() {
    let (connect, mut wire) = wire();
    let outbox = Outbox::builder(connect, LinesCodec::new).spawn().unwrap();
    let receipt = outbox.send("1 a").await.unwrap();
    let error = receipt.await.unwrap_err();
    let UndeliveredReason::GaveUp(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.kind(), io::ErrorKind::Unsupported);
    assert!(why.to_string().contains("Connection::over"), "{why}");
    let mut written = Vec::new();
    let mut peer = wire.accept().await.into_inner();
    peer.read_to_end(&mut written).await.unwrap();
    assert!(written.is_empty(), "{written:?}");
}

/// With priorities many messages are confirmed at once in several steps. No further acknowledgement comes that would confirm the
/// rest, or give a sender its room.
#[tokio::test]
async fn many_messages_with_priorities_are_confirmed_by_one_acknowledgement() {
    const COUNT: u64 = 300;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
        .ordering_key(|_: &String| 0)
        .priority(|_: &String| 0)
        .capacity(1 << 20, COUNT as usize)
        .spawn()
        .unwrap();
    // All are there before the first is written.
    for id in 0..COUNT {
        drop(outbox.try_send(id.to_string()).unwrap());
    }
    let mut waits = tokio_test::task::spawn(outbox.send("the last".to_string()));
    tokio_test::assert_pending!(waits.poll());
    let _peer = soon("a connection", listener.accept()).await.unwrap();
    let mut states = outbox.subscribe();
    let all = states.wait_for(|status| status.delivered >= COUNT);
    drop(soon("all messages", all).await.unwrap());
    assert!(waits.is_woken(), "there is room");
    drop(soon("room", waits).await.unwrap());
}

/// A message that was to go alone has arrived: the others go again. They wait in its block of the queue, or come later.
#[tokio::test]
async fn a_suspect_that_is_acknowledged_holds_up_nobody() {
    for others_wait in [true, false] {
        let (listener, address) = narrow();
        let outbox = Outbox::builder(
            move || TcpStream::connect(address),
            LengthDelimitedCodec::new,
        )
        .backoff(std::iter::repeat(Duration::from_millis(1)))
        .max_attempts(1000)
        .spawn()
        .unwrap();
        let small = || outbox.send(Bytes::from_static(b"small"));
        let suspect = outbox.send(vec![7; 4 << 20].into()).await.unwrap();
        let waiting = match others_wait {
            true => Some(small().await.unwrap()),
            false => None,
        };
        for _ in 0..3 {
            let (mut peer, _) = soon("a connection", listener.accept()).await.unwrap();
            assert!(peer.read(&mut [0; 100]).await.unwrap() > 0);
        }
        let (mut peer, _) = soon("a connection", listener.accept()).await.unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut peer, &mut tokio::io::sink()).await });
        soon("the suspect", suspect).await.unwrap();
        let other = match waiting {
            Some(waiting) => waiting,
            None => small().await.unwrap(),
        };
        soon("the other", other).await.unwrap();
    }
}
