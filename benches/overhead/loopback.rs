//! Calls on a TCP connection over loopback.

use super::slices::{Comparison, Meter, Round, Work};
use hangup::MonitoredStream;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Builder;

pub(crate) const SMALL: usize = 64;
const MIDDLE: usize = 4 * 1024;
pub(crate) const LARGE: usize = 64 * 1024;

/// What is called, with how many bytes, and how often in a slice: for about a millisecond, so that most
/// slices are over before the scheduler takes the processor away.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) size: usize,
    calls: usize,
    call: Call,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Write,
    /// Four buffers at a time.
    WriteVectored,
    Read,
}

pub(crate) const CASES: &[Case] = &[
    case("write 64 B", Call::Write, SMALL, 512),
    case("write 256 B", Call::Write, 256, 512),
    case("write 1 KiB", Call::Write, 1024, 512),
    case("write 4 KiB", Call::Write, MIDDLE, 256),
    case("write 16 KiB", Call::Write, 16 * 1024, 128),
    case("write 64 KiB", Call::Write, LARGE, 32),
    case("write 4 x 1 KiB", Call::WriteVectored, MIDDLE, 256),
    case("read 64 B", Call::Read, SMALL, 512),
    case("read 256 B", Call::Read, 256, 512),
    case("read 1 KiB", Call::Read, 1024, 512),
    case("read 4 KiB", Call::Read, MIDDLE, 256),
    case("read 16 KiB", Call::Read, 16 * 1024, 128),
    case("read 64 KiB", Call::Read, LARGE, 32),
];

const fn case(name: &'static str, call: Call, size: usize, calls: usize) -> Case {
    Case {
        name,
        size,
        calls,
        call,
    }
}

/// Compares on one connection, which is wrapped for the monitored slices and taken out again: the two
/// have the same socket and the same other end. A current-thread runtime, so that the counter of
/// instructions sees all that the calls are the cause of.
pub(crate) fn compare(case: &Case, meter: &mut Meter, time: Duration) -> io::Result<Comparison> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    // Else the last bytes of a slice wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true)?;
    peer.set_nodelay(true)?;
    peer.set_nonblocking(true)?;
    let (slice, call) = (case.size * case.calls, case.call);
    let peer = thread::spawn(move || match call {
        Call::Read => give(peer, slice),
        Call::Write | Call::WriteVectored => take(peer, slice),
    });

    let runtime = Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    stream.set_nonblocking(true)?;
    let mut stream = Some(tokio::net::TcpStream::from_std(stream)?);
    let mut buffer = vec![0; case.size];
    let compared = Comparison::run(time, || {
        let mut bare = stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let before = meter.slice(|| runtime.block_on(case.run(&mut bare, &mut buffer)))?;
        let mut wrapped = MonitoredStream::new(bare)?;
        let monitored = meter.slice(|| runtime.block_on(case.run(&mut wrapped, &mut buffer)))?;
        let mut bare = wrapped.into_inner();
        let after = meter.slice(|| runtime.block_on(case.run(&mut bare, &mut buffer)))?;
        stream = Some(bare);
        Ok(Round {
            before,
            monitored,
            after,
        })
    });
    drop((stream, entered));
    peer.join().expect("the peer does not panic")?;
    compared
}

impl Case {
    /// One slice. It begins and ends with nothing under way: the bytes of a write have reached the peer,
    /// which says so with one byte, and those of a read are asked for with one.
    async fn run(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        buffer: &mut [u8],
    ) -> io::Result<Work> {
        let mut left = self.size * self.calls;
        let mut calls = 0;
        if self.call == Call::Read {
            stream.write_u8(0).await?;
        }
        while left > 0 {
            let buffer = &mut buffer[..left.min(self.size)];
            left -= match self.call {
                Call::Write => stream.write(buffer).await?,
                Call::WriteVectored => {
                    let buffers = [0, 1, 2, 3].map(|quarter| {
                        let quarters = |count| buffer.len() * count / 4;
                        IoSlice::new(&buffer[quarters(quarter)..quarters(quarter + 1)])
                    });
                    stream.write_vectored(&buffers).await?
                }
                Call::Read => match stream.read(buffer).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                },
            };
            calls += 1;
        }
        if self.call != Call::Read {
            stream.read_u8().await?;
        }
        Ok(Work {
            calls,
            bytes: (self.size * self.calls) as u64,
        })
    }
}

/// The other end of writes: says with one byte that it has all of a slice.
fn take(mut stream: TcpStream, slice: usize) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut left = slice;
    loop {
        match awake(|| stream.read(&mut buffer))? {
            0 => return Ok(()),
            read => left -= read,
        }
        if left == 0 {
            awake(|| stream.write(&[0]))?;
            left = slice;
        }
    }
}

/// The other end of reads: one byte asks it for all of a slice.
fn give(mut stream: TcpStream, slice: usize) -> io::Result<()> {
    let buffer = vec![0; slice];
    while awake(|| stream.read(&mut [0]))? > 0 {
        let mut left = slice;
        while left > 0 {
            left -= awake(|| stream.write(&buffer[..left]))?;
        }
    }
    Ok(())
}

/// A call of the other end. It stays awake where it has to wait: to wake it now and then would cost
/// the measured side more than all that is to be measured, and at random.
fn awake(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            done => return done,
        }
    }
}
