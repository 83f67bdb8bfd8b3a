//! Constructors that give back what they could not wrap, and a connection within a time limit.

use crate::support::{Pair, Tcp4, reason, soon};
use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// The connection of a stream that could not be wrapped was closed with it.
#[tokio::test]
async fn a_stream_that_is_refused_comes_back_open() {
    let (ours, mut peer) = Tcp4::pair();
    let impossible = MonitorConfig::new().dead_peer_timeout(Duration::ZERO);
    let error = MonitoredStream::try_with_config(ours, &impossible).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
    let (error, mut ours) = error.into_parts();
    assert!(error.to_string().contains("dead_peer_timeout"), "{error}");
    ours.write_all(b"still here").await.unwrap();
    peer.read_exact(&mut [0; 10]).unwrap();

    // Nobody watches it: it can be wrapped now.
    let stream = MonitoredStream::try_new(ours).unwrap();
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

/// The registration of a stream that fails after it was registered does not stay.
#[tokio::test]
async fn a_stream_that_fails_late_is_not_left_in_the_watcher() {
    let (ours, _peer) = Tcp4::pair();
    let stream = MonitoredStream::try_new(ours).unwrap();
    // The watcher knows the descriptor already.
    let again = stream.as_fd();
    let error = MonitoredStream::try_new(Borrowed(again)).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::AlreadyExists);
    let Borrowed(_) = error.into_inner();
    assert!(!stream.is_closed());
}

#[derive(Debug)]
struct Borrowed<'a>(BorrowedFd<'a>);

impl AsFd for Borrowed<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

#[test]
fn without_a_runtime_the_stream_comes_back() {
    let (ours, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = MonitoredStream::try_new(ours).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::NotConnected);
    error.into_inner().write_all(b"!").unwrap();
}

/// A listener whose queue is full answers no SYN on Linux.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_answers_is_given_up_in_time() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let (began, error) = loop {
        let began = tokio::time::Instant::now();
        match MonitoredStream::connect(address).await {
            Ok(stream) => queued.push(stream),
            Err(error) => break (began, error),
        }
        assert!(queued.len() < 16, "the queue is never full");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(CloseReason::from(&error), CloseReason::TimedOut);
    let took = began.elapsed();
    assert!((10..11).contains(&took.as_secs()), "{took:?}");

    let began = tokio::time::Instant::now();
    let config = MonitorConfig::new().stall(StallPolicy::new(1, Duration::from_secs(60)));
    let within = Duration::from_millis(250);
    let error = MonitoredStream::connect_with(address, &config, within).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_refused_connection_fails_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let began = Instant::now();
    let error = soon("the refusal", MonitoredStream::connect(address)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[test]
fn a_limit_needs_a_timer_and_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let error = runtime.block_on(MonitoredStream::connect("127.0.0.1:1"));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("enable_time"), "{error}");
}
