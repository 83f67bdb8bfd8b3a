//! What several test programs share: connected pairs of real sockets, TLS between them, a
//! process of one's own, and a deadline.

#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod alone;
mod pair;
mod platform;
#[cfg(feature = "tonic")]
pub(crate) mod raw_messages;
pub(crate) mod tls;

pub(crate) use alone::alone;
#[cfg(unix)]
pub(crate) use pair::Unix;
pub(crate) use pair::{Pair, Peer, Tcp4, Tcp6};
pub(crate) use platform::{BROKEN_PIPE, CONNECTION_RESET, lacks};

use hangup::{CloseReason, Monitor, MonitorConfig, MonitoredStream, StallPolicy, Status};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Long against any load of the machine: what takes longer hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The output of `future`, which must come before the deadline.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting for {what} after {DEADLINE:?}"),
    }
}

/// As [`soon`], where the test says what it waits for.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    soon("the next step of the test", future).await
}

/// Writes until it fails.
pub(crate) async fn pour(stream: &mut (impl AsyncWrite + Unpin)) -> CloseReason {
    loop {
        if let Err(error) = stream.write_all(&[b'x'; 65536]).await {
            return (&error).into();
        }
    }
}

/// A connected pair, of which our side is watched.
pub(crate) fn watched<P: Pair>() -> (MonitoredStream<P::Ours>, P::Peer) {
    let (ours, peer) = P::pair();
    (MonitoredStream::new(ours).unwrap(), peer)
}

/// A listener on a free port of the loopback, and its address.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A configuration with a stall policy.
pub(crate) fn stall(bytes: u64, window: Duration) -> MonitorConfig {
    MonitorConfig::new().stall(StallPolicy::new(bytes, window))
}

/// The reason for which the stream closes, which every kind of observer must tell (invariant 1).
pub(crate) async fn reason(monitor: &Monitor) -> CloseReason {
    let mut watch = monitor.subscribe();
    let reason = soon("the close", monitor.closed()).await;
    assert!(monitor.is_closed());
    assert_eq!(monitor.close_reason().as_ref(), Some(&reason));
    assert_eq!(monitor.status(), Status::Closed(reason.clone()));
    assert_eq!(monitor.probe(), Status::Closed(reason.clone()));
    // A thread publishes it, for which a paused clock does not wait.
    let began = std::time::Instant::now();
    while !watch.borrow_and_update().is_closed() {
        assert!(began.elapsed() < DEADLINE, "nothing is published");
        tokio::task::yield_now().await;
    }
    assert_eq!(watch.borrow().reason(), Some(&reason));
    assert!(monitor.cancellation_token().is_cancelled());
    assert_eq!(monitor.closed().await, reason);
    assert_eq!(
        monitor.run_until_closed(async {}).await,
        Err(reason.clone())
    );
    reason
}

/// Waits, without a turn of the runtime, until the kernel has taken in what the peer did: `RDHUP` after a FIN,
/// `HUP` after a reset. Neither takes anything out of the socket.
#[cfg(target_os = "linux")]
pub(crate) fn until(stream: &impl std::os::fd::AsFd, happened: rustix::event::PollFlags) {
    let began = std::time::Instant::now();
    loop {
        let mut polled = [rustix::event::PollFd::new(stream, happened)];
        rustix::event::poll(&mut polled, None).unwrap();
        if polled[0].revents().contains(happened) {
            return;
        }
        assert!(began.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
}
