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
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 10_000;
const ROUNDS: usize = 9;

/// On a busy machine there are fewer rounds.
const LIMIT: Duration = Duration::from_secs(75);

/// How long everything is idle before the storm.
const IDLE: Duration = Duration::from_millis(50);

/// Who waits for the closes.
#[derive(Clone, Copy, PartialEq)]
enum Watcher {
    BareLoop,
    CurrentThread,
    MultiThread,
}

const WATCHERS: [(Watcher, &str); 3] = [
    (Watcher::BareLoop, "bare epoll loop"),
    (Watcher::CurrentThread, "hangup, current-thread"),
    (Watcher::MultiThread, "hangup, multi-thread, 2"),
];

/// Whether the watcher may run while the peers close, or not before all have.
#[derive(Clone, Copy)]
enum When {
    Meanwhile,
    Afterwards,
}

pub(crate) fn measure() -> Result<Measured> {
    crowd::raise_limit();
    let count = CONNECTIONS.min(limit());
    let mut rounds: [Vec<Vec<u64>>; 3] = Default::default();
    let mut afterwards: [Vec<Vec<u64>>; 3] = Default::default();
    for _ in turns(ROUNDS, LIMIT) {
        for (number, (watcher, _)) in WATCHERS.into_iter().enumerate() {
            rounds[number].push(storm(watcher, When::Meanwhile, count)?);
            // A runtime of two threads cannot be kept from running by one of them.
            if watcher != Watcher::MultiThread {
                afterwards[number].push(storm(watcher, When::Afterwards, count)?);
            }
        }
    }
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "Another process closes {count} connections, one right after the other. The bare loop is `epoll_wait(2)` for\n\
         `EPOLLRDHUP` in one thread, and closes each socket; with `hangup` one task for each connection awaits `closed()`,\n\
         and drops its stream. The time from before the first close until the last one is told, in milliseconds, {}\n\
         rounds in turn. In the last columns no watcher may run before all are closed, and the time counts from then: this\n\
         is the work alone, which includes a question to the kernel for each socket, and a wake-up of each task.",
        rounds[0].len()
    ));
    let mut rows = Vec::new();
    for (number, (watcher, name)) in WATCHERS.into_iter().enumerate() {
        let last = Spread::of(lasts(&rounds[number]));
        let ratio = Spread::of_ratios(&lasts(&rounds[number]), &lasts(&rounds[0]));
        let mut row = [
            name.to_owned(),
            format!("{last:.0}"),
            format!("{ratio:.2}"),
            "–".into(),
            "–".into(),
        ];
        let flavour = match watcher {
            Watcher::BareLoop => None,
            Watcher::CurrentThread => Some("current-thread"),
            Watcher::MultiThread => Some("multi-thread"),
        };
        if let Some(flavour) = flavour {
            measured.spread(flavour, ratio, 2);
        }
        if !afterwards[number].is_empty() {
            let last = Spread::of(lasts(&afterwards[number]));
            let ratio = Spread::of_ratios(&lasts(&afterwards[number]), &lasts(&afterwards[0]));
            row[3] = format!("{last:.0}");
            row[4] = format!("{ratio:.2}");
            if let Some(flavour) = flavour {
                measured.spread(&format!("afterwards.{flavour}"), ratio, 2);
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
        Watcher::CurrentThread => tasks(
            &Builder::new_current_thread().enable_all().build()?,
            crowd,
            streams,
            when,
        )?,
        Watcher::MultiThread => {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            tasks(&runtime, crowd, streams, when)?
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

fn tasks(
    runtime: &Runtime,
    mut crowd: Crowd,
    streams: Vec<TcpStream>,
    when: When,
) -> Result<(u64, Vec<u64>)> {
    let count = streams.len();
    let waiting = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for stream in streams {
            stream.set_nonblocking(true)?;
            let stream = MonitoredStream::new(tokio::net::TcpStream::from_std(stream)?)?;
            let waiting = waiting.clone();
            tasks.spawn(async move {
                let closed = stream.closed();
                waiting.fetch_add(1, Relaxed);
                closed.await;
                let told = now();
                drop(stream);
                told
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
fn plot(rounds: &[Vec<Vec<u64>>; 3], count: usize) -> Result<String> {
    let mut series = Vec::new();
    let mut longest = 0.0_f64;
    for (number, ((_, name), rounds)) in WATCHERS.into_iter().zip(rounds).enumerate() {
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
            dashed: number == 2,
            colour: number.min(1),
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
