//! How many instructions the wrapper adds to a read or a write of 64 bytes that is ready, counted by valgrind.
//!
//! ```sh
//! bench=$(cargo bench --no-run --bench instructions 2>&1 | sed -n 's/.*(\(.*\))$/\1/p')
//! for what in none bare-write write bare-read read; do
//!     echo "$what: $(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$what" 2>&1 | sed -n 's/.*refs: *//p')"
//! done
//! ```
//!
//! Each run makes a million calls of a stream in memory. The instructions of `none` are those of the start.

#[path = "overhead/ready.rs"]
mod ready;

use hangup::MonitoredStream;
use ready::Ready;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const CALLS: usize = 1_000_000;
const SIZE: usize = 64;

#[inline(never)]
fn write(stream: &mut (impl AsyncWrite + Unpin), calls: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..calls {
        let bytes = black_box(&[1; SIZE]);
        let written = black_box(Pin::new(&mut *stream).poll_write(&mut cx, bytes));
        assert!(matches!(written, Poll::Ready(Ok(SIZE))));
    }
}

#[inline(never)]
fn read(stream: &mut (impl AsyncRead + Unpin), calls: usize) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut room = [0; SIZE];
    for _ in 0..calls {
        let mut buf = ReadBuf::new(&mut room);
        let read = black_box(Pin::new(&mut *stream).poll_read(&mut cx, &mut buf));
        assert!(matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == SIZE);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    // `cargo bench` adds a flag.
    let what = arguments.find(|argument| !argument.starts_with("--"));
    match what.as_deref() {
        Some("none") => {}
        Some("bare-write") => write(&mut Ready, CALLS),
        Some("bare-read") => read(&mut Ready, CALLS),
        Some("write") => write(&mut MonitoredStream::unwatched(Ready), CALLS),
        Some("read") => read(&mut MonitoredStream::unwatched(Ready), CALLS),
        _ => println!("run it under valgrind: see the head of benches/instructions.rs"),
    }
}
