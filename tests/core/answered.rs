//! (10) A FIN alone refuses no write while somebody is about to read it: the peer may have answered.

#![cfg(target_os = "linux")]

use crate::support::{DEADLINE, Pair, Peer, Tcp4, Unix, reason, soon};
use bytes::Bytes;
use futures::stream;
use futures_test::task::new_count_waker;
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream};
use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, StatusCode, body::Frame};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

fn write<S: AsyncWrite + Unpin>(
    stream: &mut MonitoredStream<S>,
    waker: &Waker,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_write(&mut Context::from_waker(waker), bytes)
}

/// Writes until the stream has taken nothing for a while, and leaves a write pending.
async fn fill<S: AsyncWrite + Unpin>(stream: &mut MonitoredStream<S>, waker: &Waker) {
    let mut idle = 0;
    while idle < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        idle += 1;
        while let Poll::Ready(written) = write(stream, waker, &[0; 65536]) {
            written.unwrap();
            idle = 0;
        }
    }
}

/// A refusal that carries the reason. `None`: the write was not refused.
fn refusal(written: &Poll<io::Result<usize>>) -> Option<&CloseReason> {
    match written {
        Poll::Ready(Err(error)) => CloseReason::carried_by(error),
        _ => None,
    }
}

async fn a_write_goes_on_until_the_end_was_read<P: Pair>() {
    let (ours, mut peer) = P::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let (waker, _) = new_count_waker();
    peer.write_all(b"413").unwrap();
    peer.finish();
    // What observers hear is not put off.
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert!(matches!(
        write(&mut ours, &waker, b"upload"),
        Poll::Ready(Ok(6))
    ));
    assert_eq!(ours.read(&mut [0; 2]).await.unwrap(), 2);
    assert!(matches!(
        write(&mut ours, &waker, b"upload"),
        Poll::Ready(Ok(6))
    ));
    let mut rest = String::new();
    ours.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "3");
    let written = write(&mut ours, &waker, b"upload");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
    drop(ours);
    let mut taken = Vec::new();
    peer.read_to_end(&mut taken).unwrap();
    assert_eq!(taken, b"uploadupload");
}

#[tokio::test]
async fn unread_input_tcp() {
    a_write_goes_on_until_the_end_was_read::<Tcp4>().await;
}

#[tokio::test]
async fn unread_input_unix() {
    a_write_goes_on_until_the_end_was_read::<Unix>().await;
}

#[tokio::test]
async fn a_pending_read() {
    a_pending_read_with(MonitorConfig::new()).await;
}

#[tokio::test]
async fn a_pending_read_and_a_delayed_fin() {
    a_pending_read_with(MonitorConfig::new().fin_delay(Duration::from_millis(3))).await;
}

async fn a_pending_read_with(config: MonitorConfig) {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    let mut room = [0; 8];
    let mut read = |ours: &mut MonitoredStream<TcpStream>| {
        let mut buf = ReadBuf::new(&mut room);
        let polled = Pin::new(ours).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        polled.map_ok(|()| buf.filled().len())
    };
    assert!(read(&mut ours).is_pending());
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert!(matches!(
        write(&mut ours, Waker::noop(), b"x"),
        Poll::Ready(Ok(1))
    ));
    soon("the end of the input", async {
        while read(&mut ours).is_pending() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let written = write(&mut ours, Waker::noop(), b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// A layer's FIN is delayed, and the first write behind it moves the answer into the stream's own buffer. A hyper client
/// that uploaded over TLS lost the end of a long answer: it was unread there, and the write was refused.
#[tokio::test]
async fn an_answer_that_a_write_has_moved_aside() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(DEADLINE);
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    ours.writable().await.unwrap();
    peer.write_all(b"413").unwrap();
    peer.finish();
    soon("a write that looks behind the answer", async {
        while !ours.is_closed() {
            let written = write(&mut ours, Waker::noop(), b"upload");
            assert!(matches!(written, Poll::Ready(Ok(6))), "{written:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert_eq!(ours.read(&mut [0; 2]).await.unwrap(), 2);
    assert!(matches!(
        write(&mut ours, Waker::noop(), b"upload"),
        Poll::Ready(Ok(6))
    ));
    let mut rest = String::new();
    ours.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "3");
    let written = write(&mut ours, Waker::noop(), b"upload");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// The same for a writer that waits: the last byte of the answer wakes it.
#[tokio::test]
async fn a_parked_writer_behind_an_answer_that_was_moved_aside() {
    let (ours, mut peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(DEADLINE);
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    let (waker, wakes) = new_count_waker();
    fill(&mut ours, &waker).await;
    peer.write_all(b"413").unwrap();
    peer.finish();
    soon("a write that looks behind the answer", async {
        while !ours.is_closed() {
            let written = write(&mut ours, &waker, b"x");
            assert!(written.is_pending(), "{written:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let parked = wakes.get();
    ours.read_exact(&mut [0; 3]).await.unwrap();
    assert!(wakes.get() > parked, "nobody woke the writer");
    let written = write(&mut ours, &waker, b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// A loop that only sends is refused at once: nobody is about to read.
#[tokio::test]
async fn nobody_reads() {
    let (ours, peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    let written = write(&mut ours, Waker::noop(), b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// A blocked writer goes on waiting behind unread input, and is woken by the read that finds the end.
#[tokio::test]
async fn a_parked_writer_is_woken_by_the_end_of_the_input() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let (waker, wakes) = new_count_waker();
    fill(&mut ours, &waker).await;
    peer.write_all(b"413").unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert!(write(&mut ours, &waker, b"x").is_pending());
    let parked = wakes.get();
    let mut answer = String::new();
    soon("the end", ours.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "413");
    assert!(wakes.get() > parked, "nobody woke the writer");
    let written = write(&mut ours, &waker, b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// A reader that takes all the input and does not read on is not about to find the FIN.
#[tokio::test]
async fn a_parked_writer_is_woken_when_nothing_is_left_to_read() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let (waker, wakes) = new_count_waker();
    fill(&mut ours, &waker).await;
    peer.write_all(b"413").unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert!(write(&mut ours, &waker, b"x").is_pending());
    let parked = wakes.get();
    ours.read_exact(&mut [0; 3]).await.unwrap();
    assert!(wakes.get() > parked, "nobody woke the writer");
    let written = write(&mut ours, &waker, b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

/// A reset behind the FIN is an end that no reader can tell more about.
#[tokio::test]
async fn an_abort_refuses_at_once() {
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let (waker, wakes) = new_count_waker();
    fill(&mut ours, &waker).await;
    peer.write_all(b"413").unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
    assert!(write(&mut ours, &waker, b"x").is_pending());
    let parked = wakes.get();
    ours.abort();
    assert!(wakes.get() > parked, "nobody woke the writer");
    let written = write(&mut ours, &waker, b"x");
    assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
}

async fn upload<S>(stream: S) -> (StatusCode, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let chunk = Bytes::from(vec![7; 64 * 1024]);
    let body = StreamBody::new(stream::iter(
        (0..400).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))),
    ));
    let request = Request::post("/").header("host", "x").body(body).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    (status, body)
}

/// A server refuses an upload and reads on: its answer arrives, whoever hears of its FIN first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_an_upload_arrives() {
    const ANSWER: &[u8] =
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large";
    // Its end is the FIN. Between the two nobody is about to read.
    const WITHOUT_A_LENGTH: &[u8] =
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\n\r\ntoo large";
    for (config, answer) in [
        (MonitorConfig::new(), ANSWER),
        (
            MonitorConfig::new().fin_delay(Duration::from_millis(3)),
            ANSWER,
        ),
        (
            MonitorConfig::new().half_close(HalfClose::Allow),
            WITHOUT_A_LENGTH,
        ),
    ] {
        for _ in 0..100 {
            let (ours, mut peer) = Tcp4::pair();
            peer.set_read_timeout(Some(DEADLINE)).unwrap();
            let server = std::thread::spawn(move || {
                let mut buffer = [0; 16384];
                let _ = peer.read(&mut buffer).unwrap();
                peer.write_all(answer).unwrap();
                peer.finish();
                while peer.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
            });
            let ours = MonitoredStream::with_config(ours, &config).unwrap();
            let (status, body) = soon("the answer", upload(ours)).await;
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(body, "too large");
            server.join().unwrap();
        }
    }
}

/// An urgent byte hides the bytes behind it from `FIONREAD`. They are unread input all the same.
#[tokio::test]
async fn an_answer_behind_an_urgent_byte_is_unread_input() {
    for hidden in [true, false] {
        let (ours, mut peer) = Tcp4::pair();
        let mut ours = MonitoredStream::new(ours).unwrap();
        let (waker, _) = new_count_waker();
        socket2::SockRef::from(&peer)
            .send_out_of_band(b"!")
            .unwrap();
        if hidden {
            peer.write_all(b"413").unwrap();
        }
        peer.finish();
        assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
        let written = write(&mut ours, &waker, b"upload");
        if !hidden {
            // The urgent byte is no input, which a read would return.
            assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
            continue;
        }
        assert!(matches!(written, Poll::Ready(Ok(6))), "{written:?}");
        let mut answer = Vec::new();
        soon("the answer", ours.read_to_end(&mut answer))
            .await
            .unwrap();
        assert_eq!(answer, b"413");
        let written = write(&mut ours, &waker, b"upload");
        assert_eq!(refusal(&written), Some(&CloseReason::PeerClosed));
    }
}
