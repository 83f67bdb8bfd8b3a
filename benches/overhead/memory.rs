//! Small calls without a kernel: a stream in memory that is always ready.

use crate::slices::{Comparison, Meter, Round, Work};
use hangup::MonitoredStream;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const SIZE: usize = 64;
const CALLS: u64 = 20_000;

/// Takes all that is written, and fills all that is read into. Its calls are true calls, as those of a
/// socket are.
struct Ready;

impl AsyncRead for Ready {
    #[inline(never)]
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.advance(buf.remaining());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ready {
    #[inline(never)]
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(buf).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Compares writes and reads.
pub(crate) fn compare(
    meter: &mut Meter,
    time: Duration,
) -> io::Result<[(&'static str, Comparison); 2]> {
    let mut bare = Ready;
    let mut monitored = MonitoredStream::unwatched(Ready);
    let writes = Comparison::run(time, || {
        Ok(Round {
            before: meter.slice(|| writes(&mut bare))?,
            monitored: meter.slice(|| writes(&mut monitored))?,
            after: meter.slice(|| writes(&mut bare))?,
        })
    })?;
    let reads = Comparison::run(time, || {
        Ok(Round {
            before: meter.slice(|| reads(&mut bare))?,
            monitored: meter.slice(|| reads(&mut monitored))?,
            after: meter.slice(|| reads(&mut bare))?,
        })
    })?;
    Ok([("write 64 B", writes), ("read 64 B", reads)])
}

fn writes(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<Work> {
    let mut context = Context::from_waker(Waker::noop());
    let buffer = [0; SIZE];
    let mut bytes = 0;
    for _ in 0..CALLS {
        match Pin::new(&mut *stream).poll_write(&mut context, black_box(&buffer)) {
            Poll::Ready(written) => bytes += written? as u64,
            Poll::Pending => return Err(ErrorKind::WouldBlock.into()),
        }
    }
    Ok(Work {
        calls: CALLS,
        bytes,
    })
}

fn reads(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Work> {
    let mut context = Context::from_waker(Waker::noop());
    let mut buffer = [0; SIZE];
    let mut bytes = 0;
    for _ in 0..CALLS {
        let mut buffer = ReadBuf::new(black_box(&mut buffer));
        match Pin::new(&mut *stream).poll_read(&mut context, &mut buffer) {
            Poll::Ready(read) => read?,
            Poll::Pending => return Err(ErrorKind::WouldBlock.into()),
        }
        bytes += buffer.filled().len() as u64;
    }
    Ok(Work {
        calls: CALLS,
        bytes,
    })
}
