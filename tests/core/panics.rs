//! A waker that panics, and a status that somebody holds, harm nobody else.

use crate::support::{Pair, Peer, Tcp4, soon};
use futures_test::task::new_count_waker;
use hangup::{CloseReason, Connections, MonitorConfig, MonitoredStream, Status};
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A waker of an executor that is gone.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics on purpose");
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[tokio::test]
async fn wakers_that_panic_are_passed_over() {
    let bad = Waker::from(Arc::new(Panics));
    let (ours, peer) = Tcp4::pair();
    let (healthy, mut healthy_peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    let mut healthy = MonitoredStream::new(healthy).unwrap();
    let monitor = ours.monitor();
    let (mut first, mut second) = (monitor.closed(), monitor.closed());
    assert!(poll(&mut first, &bad).is_pending());
    assert!(poll(&mut second, &bad).is_pending());
    let (waker, wakes) = new_count_waker();
    let mut third = monitor.closed();
    assert!(poll(&mut third, &waker).is_pending());
    let mut watch = monitor.subscribe();
    let mut changed = Box::pin(watch.changed());
    assert!(poll(&mut changed, &bad).is_pending());
    let token = monitor.cancellation_token();
    let mut cancelled = Box::pin(token.cancelled());
    assert!(poll(&mut cancelled, &bad).is_pending());
    let other = tokio::spawn({
        let monitor = monitor.clone();
        async move { monitor.closed().await }
    });
    tokio::task::yield_now().await;
    drop(peer);
    let told = soon("the task", other).await.unwrap();
    assert_eq!(told, CloseReason::PeerClosed);
    assert_eq!(wakes.get(), 1);
    assert!(token.is_cancelled());
    // The watcher goes on.
    assert_eq!(healthy.monitor().status(), Status::Open);
    healthy.write_all(b"x").await.unwrap();
    healthy_peer.read_exact(&mut [0]).unwrap();
    healthy_peer.finish();
    let told = soon("the watcher", healthy.closed()).await;
    assert_eq!(told, CloseReason::PeerClosed);
}

/// A stream whose input comes from the test.
#[cfg(all(unix, not(hangup_fallback)))]
struct Scripted {
    socket: tokio::net::UnixStream,
    input: Arc<std::sync::Mutex<&'static [u8]>>,
}

#[cfg(all(unix, not(hangup_fallback)))]
impl std::os::fd::AsFd for Scripted {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(all(unix, not(hangup_fallback)))]
impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = std::mem::take(&mut *self.input.lock().unwrap());
        if input.is_empty() {
            return Poll::Pending;
        }
        buf.put_slice(input);
        Poll::Ready(Ok(()))
    }
}

#[cfg(all(unix, not(hangup_fallback)))]
impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A write that reads ahead wakes the reader, whose input it has taken. The panic of that waker came out of the write, and
/// the input was lost.
#[cfg(all(unix, not(hangup_fallback)))]
#[tokio::test]
async fn a_write_passes_over_a_reader_that_panics() {
    let (socket, _peer) = tokio::net::UnixStream::pair().unwrap();
    let input = Arc::default();
    let io = Scripted {
        socket,
        input: Arc::clone(&input),
    };
    let config = MonitorConfig::new().read_ahead(1000);
    let mut stream = MonitoredStream::with_config(io, &config).unwrap();
    let bad = Waker::from(Arc::new(Panics));
    let mut heard = [0; 8];
    let mut read = Box::pin(stream.read(&mut heard));
    assert!(poll(&mut read, &bad).is_pending());
    drop(read);
    *input.lock().unwrap() = b"hello";
    assert_eq!(stream.write(b"event").await.unwrap(), 5);
    let bytes = soon("the input", stream.read(&mut heard)).await.unwrap();
    assert_eq!(&heard[..bytes], b"hello");
}

/// The drop of a stream runs wakers too, and may itself be a part of an unwinding.
#[tokio::test]
async fn a_drop_passes_over_wakers_that_panic() {
    let bad = Waker::from(Arc::new(Panics));
    let stream = MonitoredStream::unwatched(tokio::io::duplex(1).0);
    let (mut first, mut second) = (stream.closed(), stream.closed());
    assert!(poll(&mut first, &bad).is_pending());
    assert!(poll(&mut second, &bad).is_pending());
    drop(stream);
    assert_eq!(poll(&mut first, &bad), Poll::Ready(CloseReason::Dropped));
}

/// Whoever asks the kernel while it looks at the status gets an answer.
#[tokio::test]
async fn a_probe_under_a_held_status_answers() {
    let (ours, peer) = Tcp4::pair();
    let ours = MonitoredStream::new(ours).unwrap();
    let monitor = ours.monitor();
    let watch = monitor.subscribe();
    let (answer, answered) = mpsc::channel();
    let prober = thread::spawn(move || {
        let status = watch.borrow();
        assert_eq!(*status, Status::Open);
        drop(peer);
        while !monitor.probe().is_closed() {
            thread::yield_now();
        }
        answer.send(monitor.close_reason()).unwrap();
        drop(status);
        watch
    });
    let answered = answered.recv_timeout(crate::support::DEADLINE);
    assert_eq!(answered, Ok(Some(CloseReason::PeerClosed)));
    let mut watch = prober.join().unwrap();
    let last = soon("the channel", watch.wait_for(Status::is_closed)).await;
    assert_eq!(last.unwrap().reason(), Some(&CloseReason::PeerClosed));
}

/// A status that somebody holds delays nobody else's close, nor the other observers of the same stream.
#[tokio::test]
async fn a_held_status_blocks_nobody() {
    let (held, held_peer) = Tcp4::pair();
    let (other, other_peer) = Tcp4::pair();
    let held = MonitoredStream::new(held).unwrap();
    let other = MonitoredStream::new(other).unwrap();
    let watch = held.monitor().subscribe();
    let (holding, is_holding) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let holder = thread::spawn(move || {
        let status = watch.borrow();
        holding.send(()).unwrap();
        // The time-out ends the test where the watcher is blocked.
        let _ = released.recv_timeout(crate::support::DEADLINE);
        drop(status);
        watch
    });
    is_holding.recv().unwrap();
    drop(held_peer);
    let token = held.monitor().cancellation_token();
    soon("the token", token.cancelled()).await;
    assert_eq!(held.closed().await, CloseReason::PeerClosed);
    drop(other_peer);
    assert_eq!(
        soon("the other", other.closed()).await,
        CloseReason::PeerClosed
    );
    release.send(()).expect("the holder still holds it");
    let mut watch = holder.join().unwrap();
    let last = soon("the channel", watch.wait_for(Status::is_closed)).await;
    assert_eq!(last.unwrap().reason(), Some(&CloseReason::PeerClosed));
}

/// A waker that uses what it was registered with, and then panics.
struct Uses(Connections);

impl Wake for Uses {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.0.len(), 0);
        panic!("this waker panics on purpose");
    }
}

/// The list of a listener's connections may hold the last handle of a stream, whose drop closes the channel and wakes the
/// subscribers. They were woken under the lock of the list, and their panics ended the loop that accepts connections.
#[test]
fn the_list_of_connections_drops_its_handles_without_its_lock() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let connections = Connections::new();
        let stream = MonitoredStream::unwatched(tokio::io::duplex(1).0);
        connections.add(&stream.monitor());
        let mut status = stream.monitor().subscribe();
        drop(stream);
        futures::executor::block_on(status.wait_for(Status::is_closed)).unwrap();
        let uses = Waker::from(Arc::new(Uses(connections.clone())));
        let mut changed = Box::pin(status.changed());
        assert!(poll(&mut changed, &uses).is_pending());
        assert_eq!(connections.len(), 0);
        // The thread that has published the close may hold the channel for a moment longer.
        assert!(futures::executor::block_on(changed).is_err());
        done.send(()).unwrap();
    });
    // The time-out ends the test where the waker waits for the lock.
    assert_eq!(is_done.recv_timeout(crate::support::DEADLINE), Ok(()));
}
