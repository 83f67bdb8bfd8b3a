//! What it costs to be told: the time to begin and to end to watch, and the heap while idle.

use hangup::{Closed, Monitor, MonitoredStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::mem::size_of;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many connections are open at a time. Lists that double are then three quarters full, the mean.
const CONNECTIONS: usize = 384;

pub(crate) fn report(batches: usize) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // First: the runtime frees what the closed sockets of `time` had at times of its own.
        memory().await?;
        time(batches).await
    })
}

/// Prints the bytes of idle watched connections.
async fn memory() -> Result<(), Box<dyn Error>> {
    let pairs = Pairs::open(CONNECTIONS).await?;
    // Room for what is in place, so that only what is on the heap counts.
    let mut watched = Vec::with_capacity(CONNECTIONS);
    // The runtime's watcher is not any one connection's.
    let _watcher = MonitoredStream::new(TcpStream::connect(pairs.listener.local_addr()?).await?)?;
    let region = Region::new(HEAP);
    for stream in pairs.streams {
        let stream = MonitoredStream::new(stream)?;
        let monitor = stream.monitor();
        watched.push((stream, monitor, None));
    }
    let idle = held(&region);
    for (stream, _, closed) in &mut watched {
        let closed = closed.insert(stream.closed());
        let mut context = Context::from_waker(Waker::noop());
        if Pin::new(closed).poll(&mut context).is_ready() {
            return Err(io::Error::other("an open connection was told to be closed").into());
        }
    }
    black_box(&watched);
    let awaited = held(&region);
    println!("one idle watched connection, mean of {CONNECTIONS}, bytes in user space");
    println!(
        "{:<42} {:>8.0}",
        "heap: stream and monitor",
        idle as f64 / CONNECTIONS as f64
    );
    println!(
        "{:<42} {:>8.0}",
        "heap: stream, monitor and an awaited Closed",
        awaited as f64 / CONNECTIONS as f64
    );
    println!(
        "{:<42} {:>8}",
        "in place: the stream, beside its TcpStream",
        size_of::<MonitoredStream<TcpStream>>() - size_of::<TcpStream>()
    );
    println!("{:<42} {:>8}", "in place: a Monitor", size_of::<Monitor>());
    println!("{:<42} {:>8}", "in place: a Closed", size_of::<Closed>());
    Ok(())
}

/// The bytes that the heap holds more than at the region's beginning.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

/// Prints what a stream's life costs more than a bare one's.
async fn time(batches: usize) -> Result<(), Box<dyn Error>> {
    const BATCH: usize = 64;
    let (mut bare, mut monitored, mut watched) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..batches {
        let pairs = Pairs::open(BATCH).await?;
        let begin = Instant::now();
        drop(pairs.streams);
        bare.push(begin.elapsed());
        drop(pairs.peers);

        let pairs = Pairs::open(BATCH).await?;
        let begin = Instant::now();
        for stream in pairs.streams {
            drop(MonitoredStream::new(stream)?);
        }
        monitored.push(begin.elapsed());
        drop(pairs.peers);

        let mut pairs = Pairs::open(1).await?;
        let mut stream = pairs.streams.remove(0);
        let begin = Instant::now();
        for _ in 0..BATCH {
            stream = MonitoredStream::new(stream)?.into_inner();
        }
        watched.push(begin.elapsed());
    }
    let [bare, monitored, watched] = [bare, monitored, watched].map(|mut times| {
        times.sort_unstable();
        nanoseconds(times[times.len() / 2]) / BATCH as f64
    });
    println!("one socket, medians of {batches} batches of {BATCH}, nanoseconds");
    println!(
        "{:<42} {watched:>8.0}",
        "add and remove: new() + into_inner()"
    );
    println!("{:<42} {monitored:>8.0}", "new() + drop, with the close");
    println!(
        "{:<42} {bare:>8.0}",
        "drop of a bare TcpStream, with the close"
    );
    println!("{:<42} {:>8.0}", "the difference", monitored - bare);
    Ok(())
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Both ends of connections.
struct Pairs {
    listener: TcpListener,
    streams: Vec<TcpStream>,
    peers: Vec<TcpStream>,
}

impl Pairs {
    async fn open(count: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (mut streams, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            peers.push(TcpStream::connect(listener.local_addr()?).await?);
            let (stream, _) = listener.accept().await?;
            // Its close resets the connection, and leaves no TIME_WAIT behind.
            stream.set_zero_linger()?;
            streams.push(stream);
        }
        Ok(Self {
            listener,
            streams,
            peers,
        })
    }
}
