//! Ten thousand connections that close together, beside a bare epoll loop.

use crate::crowd::{Crowd, limit, now};
use crate::plot::{Axis, Legend, Series, lines};
use crate::section::Measured;
use crate::spread::Spread;
use crate::turns::turns;
use crate::{Result, crowd};
use hangup::MonitoredStream;
use rustix::event::epoll;
use rustix::event::epoll::{CreateFlags, EventData, EventFlags};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 10_000;
const ROUNDS: usize = 9;

/// On a busy machine there are fewer rounds.
const LIMIT: Duration = Duration::from_secs(75);

/// How long everything is idle before the storm.
const IDLE: Duration = Duration::from_millis(50);

/// Who waits for the closes.
#[derive(Clone, Copy)]
enum Watcher {
    BareLoop,
    /// A task for each connection, which awaits this.
    Tasks(Awaited, Flavour),
}

#[derive(Clone, Copy)]
enum Awaited {
    /// The end of the input of tokio's stream.
    Read,
    /// `closed()`.
    Closed,
}

#[derive(Clone, Copy, PartialEq)]
enum Flavour {
    CurrentThread,
    MultiThread,
}

const WATCHERS: [(Watcher, &str, &str); 5] = [
    (Watcher::BareLoop, "bare epoll loop", ""),
    (
        Watcher::Tasks(Awaited::Read, Flavour::CurrentThread),
        "read loop, current-thread",
        "read-loop.current-thread",
    ),
    (
        Watcher::Tasks(Awaited::Closed, Flavour::CurrentThread),
        "hangup, current-thread",
        "current-thread",
    ),
    (
        Watcher::Tasks(Awaited::Read, Flavour::MultiThread),
        "read loop, multi-thread, 2",
        "read-loop.multi-thread",
    ),
    (
        Watcher::Tasks(Awaited::Closed, Flavour::MultiThread),
        "hangup, multi-thread, 2",
        "multi-thread",
    ),
];

impl Watcher {
    /// Whether it can be kept from running by one thread.
    fn has_one_thread(self) -> bool {
        !matches!(self, Self::Tasks(_, Flavour::MultiThread))
    }
}

/// The rounds of each watcher.
type Rounds = [Vec<Vec<u64>>; WATCHERS.len()];

/// Whether the watcher may run while the peers close, or not before all have.
#[derive(Clone, Copy)]
enum When {
    Meanwhile,
    Afterwards,
}

pub(crate) fn measure() -> Result<Measured> {
    crowd::raise_limit();
    let count = CONNECTIONS.min(limit());
    let mut rounds = Rounds::default();
    let mut afterwards = Rounds::default();
    for _ in turns(ROUNDS, LIMIT) {
        for (number, (watcher, _, _)) in WATCHERS.into_iter().enumerate() {
            rounds[number].push(storm(watcher, When::Meanwhile, count)?);
            if watcher.has_one_thread() {
                afterwards[number].push(storm(watcher, When::Afterwards, count)?);
            }
        }
    }
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "Another process closes {count} connections, one right after the other. The bare loop is `epoll_wait(2)` for\n\
         `EPOLLRDHUP` in one thread, and closes each socket. The others have one task for each connection, which drops its\n\
         stream: the read loop reads a bare tokio stream, and with `hangup` the task awaits `closed()`. The time from before the first close until the last one is told, in milliseconds, {}\n\
         rounds in turn. In the last columns no watcher may run before all are closed, and the time counts from then: this\n\
         is the work alone, which includes a question to the kernel for each socket, and a wake-up of each task.",
        rounds[0].len()
    ));
    let mut rows = Vec::new();
    for (number, (_, name, figure)) in WATCHERS.into_iter().enumerate() {
        let last = Spread::of(lasts(&rounds[number]));
        let ratio = Spread::of_ratios(&lasts(&rounds[number]), &lasts(&rounds[0]));
        let mut row = [
            name.to_owned(),
            format!("{last:.0}"),
            format!("{ratio:.2}"),
            "–".into(),
            "–".into(),
        ];
        if !figure.is_empty() {
            measured.spread(figure, ratio, 2);
        }
        if !afterwards[number].is_empty() {
            let last = Spread::of(lasts(&afterwards[number]));
            let ratio = Spread::of_ratios(&lasts(&afterwards[number]), &lasts(&afterwards[0]));
            row[3] = format!("{last:.0}");
            row[4] = format!("{ratio:.2}");
            if !figure.is_empty() {
                measured.spread(&format!("afterwards.{figure}"), ratio, 2);
            }
        }
        rows.push(row);
    }
    measured.table(
        [
            "",
            "last one told, ms",
            "of the bare loop's",
            "the work alone, ms",
            "of the bare loop's",
        ],
        rows,
    );
    measured.plot(
        "storm",
        "How many of the connections were told within a time",
        plot(&rounds, count)?,
    );
    Ok(measured)
}

/// The milliseconds of the last one in each round.
fn lasts(rounds: &[Vec<u64>]) -> Vec<f64> {
    rounds
        .iter()
        .map(|round| round.last().map_or(f64::NAN, |last| *last as f64 / 1e6))
        .collect()
}

/// When each was told, in nanoseconds from the beginning of the storm.
fn storm(watcher: Watcher, when: When, count: usize) -> Result<Vec<u64>> {
    let (crowd, streams) = Crowd::connect(count)?;
    let (began, mut told) = match watcher {
        Watcher::BareLoop => bare_loop(crowd, streams, when)?,
        Watcher::Tasks(awaited, flavour) => {
            let runtime = match flavour {
                Flavour::CurrentThread => Builder::new_current_thread().enable_all().build()?,
                Flavour::MultiThread => Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?,
            };
            match awaited {
                Awaited::Read => tasks(&runtime, crowd, streams, when, Ok, read)?,
                Awaited::Closed => {
                    let wrap = MonitoredStream::new;
                    tasks(&runtime, crowd, streams, when, wrap, closed)?
                }
            }
        }
    };
    if told.len() != count {
        return Err(format!("{} of {count} were told", told.len()).into());
    }
    told.sort_unstable();
    Ok(told
        .into_iter()
        .map(|told| told.saturating_sub(began))
        .collect())
}

fn bare_loop(mut crowd: Crowd, streams: Vec<TcpStream>, when: When) -> Result<(u64, Vec<u64>)> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    for (number, stream) in streams.iter().enumerate() {
        stream.set_nonblocking(true)?;
        epoll::add(
            &epoll,
            stream,
            EventData::new_u64(number as u64),
            EventFlags::RDHUP | EventFlags::ET,
        )?;
    }
    let mut open = streams.len();
    let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
    let mut told = Vec::with_capacity(open);
    let mut events = Vec::with_capacity(1024);
    wait(IDLE);
    crowd.close()?;
    let mut began = None;
    if let When::Afterwards = when {
        crowd.closed()?;
        began = Some(now());
    }
    while open > 0 {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let stream = streams[event.data.u64() as usize].take();
            if stream.is_some() {
                told.push(now());
                open -= 1;
            }
        }
    }
    let began = match began {
        Some(began) => began,
        None => crowd.closed()?,
    };
    Ok((began, told))
}

/// When the input ended.
async fn read(mut stream: tokio::net::TcpStream) -> u64 {
    // An error ends it too.
    let _ = stream.read(&mut [0; 64]).await;
    let told = now();
    drop(stream);
    told
}

/// When the close was told.
async fn closed(stream: MonitoredStream<tokio::net::TcpStream>) -> u64 {
    stream.closed().await;
    let told = now();
    drop(stream);
    told
}

/// A task for each connection.
fn tasks<S, Told>(
    runtime: &Runtime,
    mut crowd: Crowd,
    streams: Vec<TcpStream>,
    when: When,
    wrap: impl Fn(tokio::net::TcpStream) -> io::Result<S>,
    told: impl Fn(S) -> Told,
) -> Result<(u64, Vec<u64>)>
where
    Told: Future<Output = u64> + Send + 'static,
{
    let count = streams.len();
    let waiting = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for stream in streams {
            stream.set_nonblocking(true)?;
            let told = told(wrap(tokio::net::TcpStream::from_std(stream)?)?);
            let waiting = waiting.clone();
            tasks.spawn(async move {
                waiting.fetch_add(1, Relaxed);
                told.await
            });
        }
        while waiting.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(IDLE).await;
        crowd.close()?;
        let mut began = None;
        if let When::Afterwards = when {
            // The only thread of the runtime waits here.
            crowd.closed()?;
            began = Some(now());
        }
        let told = tasks.join_all().await;
        let began = match began {
            Some(began) => began,
            None => crowd.closed()?,
        };
        Ok((began, told))
    })
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        thread::park_timeout(time);
    }
}

/// The round of each watcher whose last one is the median.
fn plot(rounds: &Rounds, count: usize) -> Result<String> {
    let mut series = Vec::new();
    let mut longest = 0.0_f64;
    for ((watcher, name, _), rounds) in WATCHERS.into_iter().zip(rounds) {
        let mut rounds: Vec<_> = rounds.iter().collect();
        rounds.sort_by_key(|round| round.last().copied());
        let round = rounds[rounds.len() / 2];
        let points: Vec<_> = round
            .iter()
            .enumerate()
            .step_by(count.div_ceil(200))
            .chain(round.last().map(|last| (count - 1, last)))
            .map(|(told, time)| (*time as f64 / 1e6, (told + 1) as f64))
            .collect();
        longest = points.iter().map(|point| point.0).fold(longest, f64::max);
        series.push(Series {
            name: name.to_owned(),
            points,
            whiskers: Vec::new(),
            dashed: !watcher.has_one_thread(),
            colour: match watcher {
                Watcher::BareLoop => 0,
                Watcher::Tasks(Awaited::Closed, _) => 1,
                Watcher::Tasks(Awaited::Read, _) => 2,
            },
        });
    }
    let x = Axis {
        name: "milliseconds from before the first close",
        range: 0.0..longest * 1.05,
        logarithmic: false,
    };
    let y = Axis {
        name: "connections that were told",
        range: 0.0..count as f64,
        logarithmic: false,
    };
    lines(&x, &y, &series, None, Legend::LowerRight)
}
