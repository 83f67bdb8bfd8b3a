//! Small calls without a kernel: a stream in memory that is always ready.

use super::ready::Ready;
use super::slices::{Comparison, Meter, Round, Work};
use hangup::MonitoredStream;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const SIZE: usize = 64;
const CALLS: u64 = 20_000;

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
