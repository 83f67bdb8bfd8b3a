//! What a stream costs before its first call and after its last one.

use hangup::MonitoredStream;
use std::hint::black_box;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;
use tokio::runtime::Builder;

/// How many streams a round makes, and how many rounds there are.
const STREAMS: u32 = 2000;
const ROUNDS: usize = 50;

/// What a stream's beginning and end take, in nanoseconds.
pub(crate) struct Life {
    /// Without a socket: made and dropped.
    pub(crate) unwatched: f64,
    /// A TCP stream, wrapped and taken out again.
    pub(crate) watched: f64,
}

/// The times of the fastest round. There is nothing to take turns with: the features `tracing` and `metrics`, without a
/// subscriber and a recorder, are compared by another build.
pub(crate) fn measure(thorough: bool) -> io::Result<Life> {
    let rounds = if thorough { ROUNDS } else { 1 };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let _peer = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let mut stream = Some(tokio::net::TcpStream::from_std(stream)?);

    let unwatched = fastest(rounds, || {
        drop(black_box(MonitoredStream::unwatched(tokio::io::empty())));
        Ok(())
    })?;
    let watched = fastest(rounds, || {
        let bare = stream.take().ok_or(io::ErrorKind::NotConnected)?;
        stream = Some(black_box(MonitoredStream::new(bare)?).into_inner());
        Ok(())
    })?;
    Ok(Life { unwatched, watched })
}

fn fastest(rounds: usize, mut life: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let began = Instant::now();
        for _ in 0..STREAMS {
            life()?;
        }
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e9 / f64::from(STREAMS));
    }
    Ok(fastest)
}
