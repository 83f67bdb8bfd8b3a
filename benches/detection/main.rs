//! How long from the peer's `close()` to the user's code, and what it costs to be told.
//!
//! `cargo bench --bench detection`. Without `--bench` (as `cargo test --benches` runs it) a short run
//! shows that it works; its figures mean nothing.
//!
//! This thread is the peer. One round: it connects, hands the other end to an observer, waits until that
//! one watches and [`IDLE`] has passed, takes the time and closes; the observer takes the time as soon
//! as its code runs. The observers take turns, round by round, so that noise hits all of them alike, and
//! nobody but the observer of the round has anything to do.

mod cost;
mod observer;

use hdrhistogram::Histogram;
use observer::Observer;
use std::error::Error;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a connection is idle before the peer closes it: enough for every thread to have gone to
/// sleep, as it would have for a connection that has been idle for minutes.
const IDLE: Duration = Duration::from_micros(300);

/// An observer that has not heard of a close by then never will.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often the time of the thread in `poll(2)` the median of `hangup` may be.
const TARGET: f64 = 1.6;

fn main() -> Result<(), Box<dyn Error>> {
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let (warm_up, rounds) = if thorough { (500, 5000) } else { (2, 20) };

    println!("{} cores", thread::available_parallelism()?);
    if !thorough {
        println!("a short run, too short to measure: `cargo bench --bench detection` does");
    }
    // First, while this thread is the only one that uses the heap.
    cost::report(if thorough { 200 } else { 2 })?;
    println!();
    let times = race(&observer::all()?, warm_up, rounds)?;
    let ratios = report(&times, rounds);
    if thorough {
        judge(&ratios);
    }
    Ok(())
}

/// The times of one observer, in nanoseconds.
struct Times {
    name: &'static str,
    runtime: &'static str,
    histogram: Histogram<u64>,
}

impl Times {
    fn microseconds(&self, quantile: f64) -> f64 {
        Duration::from_nanos(self.histogram.value_at_quantile(quantile)).as_secs_f64() * 1e6
    }
}

fn race(
    observers: &[Observer],
    warm_up: usize,
    rounds: usize,
) -> Result<Vec<Times>, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut times = Vec::new();
    for observer in observers {
        times.push(Times {
            name: observer.name,
            runtime: observer.runtime,
            histogram: Histogram::new(3)?,
        });
    }
    for round in 0..warm_up + rounds {
        for turn in 0..observers.len() {
            // Each round begins with another one, so that nobody always follows the same one.
            let turn = (round + turn) % observers.len();
            let time = close_once(&observers[turn], &listener)?;
            if round >= warm_up {
                times[turn]
                    .histogram
                    .record(u64::try_from(time.as_nanos())?)?;
            }
        }
    }
    Ok(times)
}

/// One round with one observer.
fn close_once(observer: &Observer, listener: &TcpListener) -> Result<Duration, Box<dyn Error>> {
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (watched, _) = listener.accept()?;
    // The observer's close then resets the connection: no round leaves a TIME_WAIT behind.
    rustix::net::sockopt::set_socket_linger(&watched, Some(Duration::ZERO))?;
    observer.sockets.send(watched)?;
    observer.reports.recv_timeout(DEADLINE)?;
    if observer.reports.recv_timeout(IDLE).is_ok() {
        let name = observer.name;
        return Err(io::Error::other(format!("{name}: told of a close that was none")).into());
    }
    let closed = Instant::now();
    drop(peer);
    let seen = observer.reports.recv_timeout(DEADLINE)?;
    Ok(seen.duration_since(closed))
}

/// Prints the table, and returns each median divided by that of the first, the thread in `poll(2)`.
fn report(times: &[Times], rounds: usize) -> Vec<(&Times, f64)> {
    println!("from the peer's close() to the user's code, {rounds} rounds each, microseconds");
    println!(
        "{:<20} {:<16} {:>8} {:>8} {:>12}",
        "", "runtime", "p50", "p99", "p50 / poll's"
    );
    let measure = times[0].microseconds(0.5);
    let mut ratios = Vec::new();
    for times in times {
        let (p50, p99) = (times.microseconds(0.5), times.microseconds(0.99));
        let ratio = p50 / measure;
        let Times { name, runtime, .. } = times;
        println!("{name:<20} {runtime:<16} {p50:>8.1} {p99:>8.1} {ratio:>12.2}");
        ratios.push((times, ratio));
    }
    ratios
}

/// Prints whether `hangup` reaches its target.
fn judge(ratios: &[(&Times, f64)]) {
    for (times, ratio) in ratios {
        if times.name == observer::HANGUP {
            println!(
                "target: p50 of hangup, {}, at most {TARGET} times the poll(2) thread's: {ratio:.2}, {}",
                times.runtime,
                if *ratio <= TARGET {
                    "reached"
                } else {
                    "missed"
                },
            );
        }
    }
}
