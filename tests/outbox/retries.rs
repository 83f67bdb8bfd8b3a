//! What ends a connection or an attempt means another attempt; and what does not.

use crate::wire::{confirm_all, line, outbox, wire};
use futures::SinkExt;
use hangup::MonitoredStream;
use hangup::outbox::*;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::Instant;
use tokio_util::codec::LinesCodec;

/// The outbox gave up for ever on what passes: ports that are used up, an address that is away, a container
/// without IPv6, a firewall, a captive portal.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn whatever_connect_returns_is_tried_again() {
    let codes = [
        libc::EADDRNOTAVAIL,
        libc::EAFNOSUPPORT,
        libc::ENODEV,
        libc::EBUSY,
        libc::EPERM,
        libc::EACCES,
        libc::ENOENT,
        libc::EAGAIN,
        libc::EADDRINUSE,
        libc::EPROTONOSUPPORT,
        libc::ENOBUFS,
        libc::EMFILE,
    ];
    let mut errors: Vec<io::Error> = codes.map(io::Error::from_raw_os_error).into();
    errors.push(io::Error::other("HTTP/1.1 502 Bad Gateway"));
    errors.push(io::ErrorKind::InvalidData.into());
    errors.push(io::ErrorKind::UnexpectedEof.into());
    errors.push(io::ErrorKind::Other.into());
    let attempts = errors.len() as u64;
    let mut errors = errors.into_iter();
    let (mut connect, mut wire) = wire();
    let outbox = Outbox::builder(
        move || {
            let error = errors.next();
            let connected = error.is_none().then(&mut connect);
            async move {
                match (error, connected) {
                    (Some(error), _) => Err(error),
                    (None, Some(connected)) => connected.await,
                    (None, None) => unreachable!(),
                }
            }
        },
        LinesCodec::new,
    )
    .confirm(crate::wire::by_reply())
    .spawn()
    .unwrap();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let peer = wire.accept().await;
    tokio::spawn(confirm_all(peer));
    receipt.await.unwrap();
    assert_eq!(outbox.status().connects, attempts + 1);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_panics_or_hangs_is_tried_again() {
    let mut attempt = 0;
    let (mut connect, mut wire) = wire();
    let outbox = Outbox::builder(
        move || {
            attempt += 1;
            if attempt == 1 {
                panic!("the first call of `connect`");
            }
            let connected = (attempt > 3).then(&mut connect);
            async move {
                match (attempt, connected) {
                    (_, Some(connected)) => connected.await,
                    (2, _) => panic!("the second connection"),
                    _ => pending().await,
                }
            }
        },
        LinesCodec::new,
    )
    .confirm(crate::wire::by_reply())
    .spawn()
    .unwrap();
    let began = Instant::now();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let mut states = outbox.subscribe();
    let third = |status: &OutboxStatus| matches!(status.link, Link::Connecting { attempt: 2, .. });
    drop(states.wait_for(third).await.unwrap());
    let peer = wire.accept().await;
    tokio::spawn(confirm_all(peer));
    receipt.await.unwrap();
    // The hanging attempt took the 10 s of the default.
    let took = began.elapsed().as_secs_f64();
    assert!((10.0..15.0).contains(&took), "{took}");
}

/// The default says when the program is wrong, and a rule may say otherwise.
#[tokio::test(start_paused = true)]
async fn a_wrong_program_ends_and_is_resumed() {
    let mut wrong = true;
    let (mut connect, mut wire) = wire();
    let outbox = Outbox::builder(
        move || {
            let connected = (!std::mem::take(&mut wrong)).then(&mut connect);
            async move {
                match connected {
                    Some(connected) => connected.await,
                    None => Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "no such host name",
                    )),
                }
            }
        },
        LinesCodec::new,
    )
    .confirm(crate::wire::by_reply())
    .spawn()
    .unwrap();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let error = receipt.await.unwrap_err();
    let UndeliveredReason::GaveUp(why) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(why.to_string(), "no such host name");
    let refused = outbox.send("2 b".to_string()).await.unwrap_err();
    assert!(matches!(refused.reason(), RefusedReason::GaveUp(_)));
    outbox.reconnect_now();
    assert!(wire.try_accept().is_none());

    assert!(outbox.resume());
    assert!(!outbox.resume());
    let second = outbox.send("2 b".to_string()).await.unwrap();
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    second.await.unwrap();
    assert!(outbox.shutdown(Duration::from_secs(60)).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["1 a", "2 b"]);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_gave_up_ends_with_its_last_handle() {
    let refused =
        || async { Err::<MonitoredStream<DuplexStream>, _>(io::ErrorKind::InvalidInput.into()) };
    let (outbox, task) = Outbox::<String>::builder(refused, LinesCodec::new)
        .build()
        .unwrap();
    let task = tokio::spawn(task);
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let mut states = outbox.subscribe();
    drop(
        states
            .wait_for(|status| matches!(status.link, Link::GaveUp(_)))
            .await
            .unwrap(),
    );
    drop(outbox);
    task.await.unwrap();
    assert!(matches!(
        receipt.await.unwrap_err().reason(),
        UndeliveredReason::GaveUp(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_time_that_was_set() {
    let refused = || async {
        Err::<MonitoredStream<DuplexStream>, _>(io::ErrorKind::ConnectionRefused.into())
    };
    let limit = Duration::from_secs(100);
    let outbox = Outbox::<String>::builder(refused, LinesCodec::new)
        .give_up_after(limit)
        .spawn()
        .unwrap();
    let began = Instant::now();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let error = receipt.await.unwrap_err();
    assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
    let off = began.elapsed().abs_diff(limit);
    assert!(off < Duration::from_millis(10), "{:?}", began.elapsed());
}

/// The time was looked at only after an attempt. One that never ended let the outbox never give up.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_does_not_delay_giving_up() {
    let hangs = pending::<io::Result<MonitoredStream<DuplexStream>>>;
    let limit = Duration::from_secs(3);
    for connect_timeout in [None, Some(Duration::from_secs(10))] {
        let outbox = Outbox::<String>::builder(hangs, LinesCodec::new)
            .connect_timeout(connect_timeout)
            .give_up_after(limit)
            .spawn()
            .unwrap();
        let began = Instant::now();
        let receipt = outbox.send("1 a".to_string()).await.unwrap();
        let outcome = tokio::time::timeout(limit * 100, receipt).await;
        let error = outcome.unwrap().unwrap_err();
        assert!(matches!(error.reason(), UndeliveredReason::GaveUp(_)));
        let off = began.elapsed().abs_diff(limit);
        assert!(off < Duration::from_millis(10), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn reconnects_now() {
    let (builder, mut wire) = outbox();
    let hour = Duration::from_secs(3600);
    let outbox = builder.backoff([hour; 10]).spawn().unwrap();
    let began = Instant::now();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    // A connection on which nothing comes back.
    let mut dead = wire.accept().await;
    assert_eq!(line(&mut dead).await, "1 a");
    outbox.reconnect_now();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    drop(peer);
    // The delay of an hour.
    let mut states = outbox.subscribe();
    let retrying = |status: &OutboxStatus| matches!(status.link, Link::Retrying { .. });
    let link = states.wait_for(retrying).await.unwrap().link.clone();
    let Link::Retrying { retry_at, .. } = link else {
        unreachable!()
    };
    // The state does not change while nothing happens.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(outbox.status().link, link);
    assert!(retry_at - began > hour - Duration::from_secs(1));
    outbox.reconnect_now();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    peer.send("ok 1").await.unwrap();
    receipt.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// The peer's kernel acknowledges, and its program hangs.
#[tokio::test(start_paused = true)]
async fn a_peer_that_confirms_nothing_is_replaced() {
    let (builder, mut wire) = outbox();
    let limit = Duration::from_secs(5);
    let outbox = builder.ack_timeout(limit).spawn().unwrap();
    let began = Instant::now();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let mut hanging = wire.accept().await;
    assert_eq!(line(&mut hanging).await, "1 a");
    let mut peer = wire.accept().await;
    let took = began.elapsed();
    assert!(took >= limit && took < limit * 2, "{took:?}");
    assert_eq!(line(&mut peer).await, "1 a");
    peer.send("ok 1").await.unwrap();
    receipt.await.unwrap();
    // Without anything unconfirmed, nothing is replaced.
    tokio::time::sleep(limit * 10).await;
    assert_eq!(outbox.status().connects, 2);
}

/// A peer stopped reading in the middle of a best-effort message. When its time was over nothing was unconfirmed, so
/// nothing was timed, and an important message waited behind the write for ever.
#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_ended_though_its_message_has_expired() {
    let (builder, mut wire) = outbox();
    let limit = Duration::from_secs(5);
    let outbox = builder.ack_timeout(limit).spawn().unwrap();
    let hanging = wire.accept().await;
    let ttl = Duration::from_secs(1);
    let large = format!("1 {}", "x".repeat(200_000));
    let fleeting = outbox
        .send_with(large, Importance::BestEffort { ttl })
        .await
        .unwrap();
    assert_eq!(
        *fleeting.await.unwrap_err().reason(),
        UndeliveredReason::Unconfirmed
    );
    let receipt = outbox.send("2 a".to_string()).await.unwrap();
    let peer = tokio::time::timeout(limit * 3, wire.accept()).await;
    tokio::spawn(confirm_all(peer.expect("another connection")));
    receipt.await.unwrap();
    drop(hanging);
}

/// Who watches the outbox hears of a message that waits for the first connection.
#[tokio::test(start_paused = true)]
async fn a_message_without_a_connection_is_published() {
    let connect = || pending::<io::Result<tokio::net::TcpStream>>();
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(crate::wire::by_reply())
        .spawn()
        .unwrap();
    let mut states = outbox.subscribe();
    let connecting = |status: &OutboxStatus| matches!(status.link, Link::Connecting { .. });
    drop(states.wait_for(connecting).await.unwrap());
    // What has changed so far is published.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = Instant::now();
    drop(outbox.send("1 a".to_string()).await.unwrap());
    drop(states.wait_for(|status| status.queued == 1).await.unwrap());
    // The attempt to connect would end after 10 s, and publish everything.
    assert!(
        sent.elapsed() < Duration::from_secs(5),
        "{:?}",
        sent.elapsed()
    );
}

/// A stream of the program's own. What it does is told by the number of its connection.
struct Panics {
    stream: DuplexStream,
    number: u32,
}

impl AsyncRead for Panics {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(self.number != 0, "the stream of the test, in a read");
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Panics {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(self.number != 1, "the stream of the test, in a write");
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(self.number != 2, "the stream of the test, in a flush");
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("the stream of the test, in a shutdown");
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(self.number != 1, "the stream of the test, in its drop");
    }
}

/// A panic of the stream, or of the back-off, ended the outbox.
#[tokio::test(start_paused = true)]
async fn a_stream_or_a_back_off_that_panics_costs_a_connection() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut number = 0;
    let connect = move || {
        let (near, far) = tokio::io::duplex(1024);
        sender.send(far).unwrap();
        let stream = Panics {
            stream: near,
            number,
        };
        number += 1;
        std::future::ready(Ok::<_, io::Error>(MonitoredStream::unwatched(stream)))
    };
    let delays = [Duration::from_millis(1)]
        .into_iter()
        .chain(std::iter::from_fn(|| panic!("the back-off of the test")));
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(crate::wire::by_reply())
        .backoff(delays)
        .spawn()
        .unwrap();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    let peer = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(stream) = receiver.recv().await {
            let lines = tokio_util::codec::Framed::new(stream, LinesCodec::new());
            seen.extend(confirm_all(lines).await);
        }
        seen
    });
    receipt.await.unwrap();
    assert_eq!(outbox.status().connects, 4);
    assert!(outbox.shutdown(Duration::from_secs(60)).await.is_complete());
    drop(outbox);
    // The third connection had carried it before its flush.
    assert_eq!(peer.await.unwrap(), ["1 a", "1 a"]);
}
