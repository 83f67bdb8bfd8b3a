//! Streams whose peer and whose wrapped stream are the test.

use futures_test::task::new_count_waker;
use hangup::test_util::{Remote, scripted_with_config};
use hangup::{HalfClose, MonitorConfig, Status};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// In each read the peer half-closes; each write waits.
struct HalfClosedInARead(Arc<OnceLock<Remote>>);

impl AsyncRead for HalfClosedInARead {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.get().unwrap().half_close();
        buf.put_slice(b"1");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HalfClosedInARead {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// (9) A half-close in the middle of a read is observed at its end. It lets writes go on, so it is no news to the writer.
#[tokio::test]
async fn a_half_close_in_a_read_does_not_wake_the_writer() {
    let remote = Arc::default();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let io = HalfClosedInARead(Arc::clone(&remote));
    let (mut stream, the_remote) = scripted_with_config(io, &config);
    remote.set(the_remote).unwrap();
    let (waker, wakes) = new_count_waker();
    let mut cx = Context::from_waker(&waker);
    assert!(
        Pin::new(&mut stream)
            .poll_write(&mut cx, b"event")
            .is_pending()
    );
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 1);
    assert_eq!(stream.monitor().status(), Status::PeerFinished);
    assert_eq!(wakes.get(), 0);
}
