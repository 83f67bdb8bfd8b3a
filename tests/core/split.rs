//! Halves: the drop of the one that writes shuts down, both have one monitor, and neither waits for long.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::split_turns::SlowShutdown;
use crate::support::{Pair, Tcp4, Unix, reason, soon, watched};
use hangup::{CloseReason, DirectIo, MonitoredStream, OwnedReadHalf, Status};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_test::{assert_pending, assert_ready_ok, task};

/// With `tokio::io::split` the peer of a dropped writer waited for ever.
async fn the_drop_shuts_down<P: Pair>() {
    let (stream, mut peer) = watched::<P>();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(b"all").await.unwrap();
    drop(writer);
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "all");
    assert_eq!(monitor.status(), Status::Open);

    peer.write_all(b"thanks").unwrap();
    drop(peer);
    let mut answer = String::new();
    soon("the answer", reader.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "thanks");
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
}

#[tokio::test]
async fn the_drop_of_the_write_half_shuts_down() {
    the_drop_shuts_down::<Tcp4>().await;
    the_drop_shuts_down::<Unix>().await;
}

#[tokio::test]
async fn a_shutdown_is_done_once_and_a_forgotten_half_does_none() {
    let (stream, mut peer) = watched::<Tcp4>();
    let (reader, mut writer) = stream.into_split();
    writer.shutdown().await.unwrap();
    drop(writer);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(reader.monitor().status(), Status::Open);

    let (stream, peer) = watched::<Tcp4>();
    let (reader, writer) = stream.into_split();
    writer.forget();
    peer.set_nonblocking(true).unwrap();
    let error = (&peer).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(reader);
    peer.set_nonblocking(false).unwrap();
    assert_eq!((&peer).read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_borrowed_half_shuts_down() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let (reader, mut writer) = stream.split();
    writer.shutdown().await.unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(reader.monitor().status(), Status::Open);
}

#[tokio::test]
async fn halves_are_put_together_again() {
    let (stream, mut peer) = watched::<Tcp4>();
    let (other, _other_peer) = watched::<Tcp4>();
    let (reader, writer) = stream.into_split();
    let (other_reader, other_writer) = other.into_split();
    let error = reader.reunite(other_writer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the two halves belong to different streams"
    );
    let (reader, other_writer) = error.into_halves();
    other_reader.reunite(other_writer).unwrap();
    let mut stream = reader.reunite(writer).unwrap();
    // Nothing was shut down on the way.
    stream.write_all(b"!").await.unwrap();
    peer.read_exact(&mut [0]).unwrap();
    assert_eq!(stream.monitor().transfer().accepted, 1);
}

/// Two workers, both directions at once: every byte arrives, in order, and is counted.
async fn both_directions<P: Pair>() {
    const BYTES: usize = 8 << 20;
    let (stream, mut peer) = watched::<P>();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    let pattern: Arc<Vec<u8>> = Arc::new((0..BYTES).map(|at| (at % 251) as u8).collect());

    let mut peers_writer = socket2::SockRef::from(&peer).try_clone().unwrap();
    let sent = pattern.clone();
    let sends = thread::spawn(move || peers_writer.write_all(&sent).unwrap());
    let expected = pattern.clone();
    let receives = thread::spawn(move || {
        let mut heard = vec![0; BYTES];
        peer.read_exact(&mut heard).unwrap();
        assert!(heard == *expected);
        peer
    });
    let sent = pattern.clone();
    let writes = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer
    });
    let reads = tokio::spawn(async move {
        let mut heard = vec![0; BYTES];
        reader.read_exact(&mut heard).await.unwrap();
        assert!(heard == *pattern);
        reader
    });
    let _writer = soon("the writer", writes).await.unwrap();
    let _reader = soon("the reader", reads).await.unwrap();
    sends.join().unwrap();
    let _peer = receives.join().unwrap();
    let transfer = monitor.transfer();
    assert_eq!(
        (transfer.read, transfer.accepted),
        (BYTES as u64, BYTES as u64)
    );
    assert_eq!(monitor.status(), Status::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tasks_use_both_directions() {
    both_directions::<Tcp4>().await;
    both_directions::<Unix>().await;
}

/// A file goes out while another task reads, and the peer sends only after it has got some of the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_sent_while_another_task_reads() {
    const BYTES: usize = 16 << 20;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'f'; BYTES]).unwrap();
    file.rewind().unwrap();
    let (stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    let peers = thread::spawn(move || {
        let mut part = vec![0; BYTES / 64];
        for number in 0..64_u8 {
            peer.read_exact(&mut part).unwrap();
            assert!(part.iter().all(|byte| *byte == b'f'));
            peer.write_all(&[number]).unwrap();
        }
        assert_eq!(peer.read(&mut part).unwrap(), 0);
        peer
    });
    let reads = tokio::spawn(async move {
        for number in 0..64_u8 {
            assert_eq!(reader.read_u8().await.unwrap(), number);
        }
        reader
    });
    let sent = soon("the file", writer.send_file(&file, ..)).await.unwrap();
    assert_eq!(sent, BYTES as u64);
    let reader = soon("the reader", reads).await.unwrap();
    drop(writer);
    drop(peers.join().unwrap());
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
    assert_eq!(monitor.transfer().accepted, BYTES as u64);
    drop(reader);
}

/// A blocked file and a blocked reader are woken, and tell one reason.
#[tokio::test]
async fn an_end_reaches_both_halves() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(256 << 20).unwrap();
    let (stream, peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    let sends = tokio::spawn(async move { writer.send_file(&file, ..).await });
    let reads = tokio::spawn(async move { reader.read_u8().await });
    // Until the kernel takes no more.
    let mut taken = 0;
    while taken == 0 || monitor.accepted() != taken {
        taken = monitor.accepted();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    monitor.abort();
    let sent = soon("the file", sends).await.unwrap().unwrap_err();
    let read = soon("the reader", reads).await.unwrap().unwrap_err();
    for error in [sent, read] {
        assert_eq!(CloseReason::from(&error), CloseReason::Aborted);
    }
    drop(peer);
}

async fn direct<P: Pair>()
where
    P::Ours: DirectIo,
{
    let (mut stream, mut peer) = watched::<P>();
    {
        let (mut reader, mut writer) = stream.split();
        let mut readable = task::spawn(reader.readable());
        assert_pending!(readable.poll());
        peer.write_all(b"hello").unwrap();
        soon("input", &mut readable).await.unwrap();
        drop(readable);
        let mut heard = [0; 8];
        assert_eq!(reader.try_read(&mut heard).unwrap(), 5);
        let error = reader.try_read(&mut heard).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        soon("room", writer.writable()).await.unwrap();
        while writer.try_write(&[b'x'; 65536]).is_ok() {}
        let monitor = writer.monitor();
        let mut writable = task::spawn(writer.writable());
        assert_pending!(writable.poll());
        drop(peer);
        soon("the wake", &mut writable).await.unwrap();
        drop(writable);
        let error = writer.try_write(b"!").unwrap_err();
        assert_eq!(Some(CloseReason::from(&error)), monitor.close_reason());
    }
    assert!(stream.is_closed());
}

#[tokio::test]
async fn borrowed_halves_read_and_write_directly() {
    direct::<Tcp4>().await;
    direct::<Unix>().await;
}

#[tokio::test]
async fn a_borrowed_half_peeks() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let (mut reader, _writer) = stream.split();
    peer.write_all(b"hello").unwrap();
    let mut heard = [0; 8];
    let peeked = soon("input", reader.peek(&mut heard)).await.unwrap();
    assert_eq!(&heard[..peeked], b"hello");
    // It has consumed nothing.
    assert_eq!(reader.try_read(&mut heard).unwrap(), 5);
}

#[tokio::test]
async fn a_half_writes_several_slices_at_once_if_its_stream_does() {
    let (mut stream, _peer) = watched::<Tcp4>();
    assert!(stream.split().1.is_write_vectored());
    assert!(stream.into_split().1.is_write_vectored());
    let mut stream = MonitoredStream::unwatched(tokio_test::io::Builder::new().build());
    assert!(!stream.split().1.is_write_vectored());
    assert!(!stream.into_split().1.is_write_vectored());
}

/// Reads the other half in the middle of a write, as a waker may that runs its task at once.
struct Nested {
    reader: Arc<Mutex<Option<OwnedReadHalf<Self>>>>,
    inner: Option<bool>,
}

impl AsyncRead for Nested {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(b"r");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Nested {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let reader = self.reader.clone();
        let mut reader = reader.lock().unwrap();
        let polled = Pin::new(reader.as_mut().unwrap()).poll_read(cx, &mut ReadBuf::new(&mut [0]));
        self.inner = Some(polled.is_pending());
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// With a blocking lock it hung. The read waits for its turn, and is woken when it comes.
#[test]
fn a_half_that_is_polled_inside_of_the_other_is_woken() {
    let slot = Arc::new(Mutex::new(None));
    let stream = MonitoredStream::unwatched(Nested {
        reader: slot.clone(),
        inner: None,
    });
    let (reader, writer) = stream.into_split();
    *slot.lock().unwrap() = Some(reader);
    let mut writer = task::spawn(writer);
    assert_ready_ok!(writer.enter(|cx, writer| writer.poll_write(cx, b"w")));
    assert!(writer.is_woken(), "the read, which has the same waker");
    let reader = slot.lock().unwrap().take().unwrap();
    let stream = reader.reunite(writer.into_inner()).unwrap();
    assert_eq!(stream.get_ref().inner, Some(true));
}

/// A shutdown that has to wait is continued by the reads.
#[test]
fn reads_go_on_with_a_shutdown_that_waits() {
    let calls = Arc::new(AtomicU8::new(0));
    let counted = calls.clone();
    let shutdown = SlowShutdown(move |cx: &mut Context<'_>| {
        if counted.fetch_add(1, Relaxed) < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    let (reader, writer) = MonitoredStream::unwatched(shutdown).into_split();
    drop(writer);
    let mut reader = task::spawn(reader);
    for turn in 0..4 {
        assert_pending!(reader.enter(|cx, half| half.poll_read(cx, &mut ReadBuf::new(&mut [0]))));
        assert!(turn > 0 || reader.is_woken());
    }
    // It is done, and not done again.
    assert_eq!(calls.load(Relaxed), 3);
}
