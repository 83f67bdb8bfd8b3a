//! (9) The wrapper changes nothing else: every poll method reaches the wrapped stream's own, with what it
//! was given, and every result comes back as it is.

use crate::recorder::Recorder;
use hangup::{CloseReason, MonitoredStream};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_test::io::Builder;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

#[test]
fn every_method_reaches_the_wrapped_streams_own() {
    let mut stream = task::spawn(MonitoredStream::unwatched(Recorder::default()));
    assert!(stream.is_write_vectored());

    let mut bytes = [0; 10];
    let mut buf = ReadBuf::new(&mut bytes);
    buf.put_slice(b"old ");
    assert_ready_ok!(stream.enter(|cx, stream| stream.poll_read(cx, &mut buf)));
    assert_eq!(buf.filled(), b"old data");

    assert_eq!(
        assert_ready_ok!(stream.enter(|cx, stream| stream.poll_write(cx, b"123456"))),
        3
    );
    let bufs = [IoSlice::new(b"12"), IoSlice::new(b"345")];
    assert_eq!(
        assert_ready_ok!(stream.enter(|cx, stream| stream.poll_write_vectored(cx, &bufs))),
        5
    );
    assert_pending!(stream.enter(|cx, stream| stream.poll_flush(cx)));
    assert_ready_err!(stream.enter(|cx, stream| stream.poll_shutdown(cx)));
    assert_eq!(
        stream.get_ref().calls,
        [
            "read, 4 filled",
            "write 6",
            "write [2, 3]",
            "flush",
            "shutdown"
        ]
    );
    let transfer = stream.monitor().transfer();
    assert_eq!((transfer.read, transfer.accepted), (4, 8));
}

#[test]
fn empty_buffers_mean_nothing() {
    let mut stream = task::spawn(MonitoredStream::unwatched(Recorder::default()));
    // A read that has no room is no end of file, although it adds nothing.
    let mut full = ReadBuf::new(&mut []);
    assert_ready_ok!(stream.enter(|cx, stream| stream.poll_read(cx, &mut full)));
    assert_eq!(
        assert_ready_ok!(stream.enter(|cx, stream| stream.poll_write(cx, b""))),
        0
    );
    assert_eq!(
        assert_ready_ok!(stream.enter(|cx, stream| stream.poll_write_vectored(cx, &[]))),
        0
    );
    assert_eq!(stream.close_reason(), None);
    assert_eq!(stream.monitor().transfer(), Default::default());
}

#[test]
fn the_wrapped_stream_is_to_be_had() {
    let mut stream = MonitoredStream::unwatched(Recorder::default());
    stream.get_mut().calls.push("get_mut".into());
    Pin::new(&mut stream)
        .get_pin_mut()
        .calls
        .push("get_pin_mut".into());
    assert_eq!(stream.into_inner().calls, ["get_mut", "get_pin_mut"]);
}

/// Fails once with each of its errors, and then goes on.
#[derive(Debug)]
struct Failing(Vec<ErrorKind>);

impl Failing {
    fn next<T>(&mut self, then: T) -> Poll<io::Result<T>> {
        Poll::Ready(self.0.pop().map_or(Ok(then), |kind| Err(kind.into())))
    }
}

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = self.next(());
        if let Poll::Ready(Ok(())) = polled {
            buf.put_slice(b"late");
        }
        polled
    }
}

impl AsyncWrite for Failing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.next(buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.next(())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.next(())
    }
}

#[test]
fn errors_come_back_as_they_are_and_close() {
    for (kind, reason) in [
        (ErrorKind::WouldBlock, None),
        (ErrorKind::Interrupted, None),
        (ErrorKind::ConnectionReset, Some(CloseReason::Reset)),
        (ErrorKind::ConnectionAborted, Some(CloseReason::Reset)),
        (ErrorKind::BrokenPipe, Some(CloseReason::PeerClosed)),
        (ErrorKind::TimedOut, Some(CloseReason::TimedOut)),
        (ErrorKind::HostUnreachable, Some(CloseReason::Unreachable)),
        (
            ErrorKind::NetworkUnreachable,
            Some(CloseReason::Unreachable),
        ),
    ] {
        type Poller =
            fn(Pin<&mut MonitoredStream<Failing>>, &mut Context<'_>) -> Poll<io::Result<()>>;
        let pollers: [Poller; 4] = [
            |stream, cx| stream.poll_write(cx, b"x").map_ok(|_| ()),
            |stream, cx| stream.poll_flush(cx),
            |stream, cx| stream.poll_shutdown(cx),
            |stream, cx| stream.poll_read(cx, &mut ReadBuf::new(&mut [0; 4])),
        ];
        for poll in pollers {
            let mut stream = task::spawn(MonitoredStream::unwatched(Failing(vec![kind])));
            let error = assert_ready_err!(stream.enter(|cx, stream| poll(stream, cx)));
            assert_eq!(error.kind(), kind);
            assert_eq!(stream.close_reason(), reason, "{kind:?}");
        }
    }
}

#[test]
fn reads_go_on_after_the_close() {
    let failing = Failing(vec![ErrorKind::ConnectionReset]);
    let mut stream = task::spawn(MonitoredStream::unwatched(failing));
    assert_ready_err!(stream.enter(|cx, stream| stream.poll_write(cx, b"x")));
    assert!(stream.is_closed());
    // (5)
    let mut bytes = [0; 4];
    let mut buf = ReadBuf::new(&mut bytes);
    assert_ready_ok!(stream.enter(|cx, stream| stream.poll_read(cx, &mut buf)));
    assert_eq!(buf.filled(), b"late");
    // (6): the wrapped stream would take it, and is not asked.
    let error = assert_ready_err!(stream.enter(|cx, stream| stream.poll_write(cx, b"x")));
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Reset));
    assert_eq!(stream.monitor().transfer().accepted, 0);
    // Flush and shutdown are the wrapped stream's affair: they send nothing new.
    assert_ready_ok!(stream.enter(|cx, stream| stream.poll_flush(cx)));
    assert_ready_ok!(stream.enter(|cx, stream| stream.poll_shutdown(cx)));
}

/// (9) A task that never waits gives way as often as it would with the bare stream.
#[tokio::test]
async fn the_cooperative_budget_is_the_bare_streams() {
    use tokio::io::AsyncWriteExt;
    async fn polls(mut stream: impl AsyncWrite + Unpin) -> usize {
        // Begins with a whole budget.
        tokio::task::yield_now().await;
        let mut polls = 0;
        let mut writes = std::pin::pin!(async {
            for _ in 0..1000 {
                stream.write_all(b"x").await.unwrap();
            }
        });
        std::future::poll_fn(|cx| {
            polls += 1;
            writes.as_mut().poll(cx)
        })
        .await;
        polls
    }
    let (bare, _peer) = tokio::io::duplex(10_000);
    let (wrapped, _other_peer) = tokio::io::duplex(10_000);
    let expected = polls(bare).await;
    assert!(expected > 1);
    assert_eq!(polls(MonitoredStream::unwatched(wrapped)).await, expected);
}

/// Scenario: the wrapped stream has a stall policy of its own below it, and a write fails with the error
/// that carries `Stalled`; a read of the same stream is pending, and its data is still to come.
///
/// Bug: the outer stream took the reason for a stall that it had found out itself, for which it has to
/// wake and to end the reads that wait, and failed a read that the bare stream would have gone on with.
#[test]
fn a_stall_of_the_stream_below_does_not_end_reads() {
    // The script's handle is kept: a read that has no more to come waits.
    let (script, _handle) = Builder::new()
        .write_error(CloseReason::Stalled.into())
        .build_with_handle();
    let mut stream = task::spawn(MonitoredStream::unwatched(script));
    assert_ready_err!(stream.enter(|cx, stream| stream.poll_write(cx, b"x")));
    assert_eq!(stream.close_reason(), Some(CloseReason::Stalled));
    let mut bytes = [0; 4];
    let mut buf = ReadBuf::new(&mut bytes);
    assert_pending!(stream.enter(|cx, stream| stream.poll_read(cx, &mut buf)));
}
