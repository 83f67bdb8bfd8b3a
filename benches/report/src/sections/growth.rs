//! The same detection, while the runtime watches more and more idle connections.

use super::detection::{observer, race, ratios};
use crate::crowd::{Crowd, limit};
use crate::plot::{Axis, Legend, Series, lines};
use crate::section::Measured;
use crate::{Result, crowd};
use hangup::MonitoredStream;
use observer::{HANGUP, Observer, await_closed, in_a_task, poll_thread, tokio_stream};
use std::io;
use std::net::TcpStream;
use tokio::runtime::Builder;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 60_000];
const WARM_UP: usize = 200;
const ROUNDS: usize = 4000;

pub(crate) fn measure() -> Result<Measured> {
    crowd::raise_limit();
    let most = limit();
    let mut measured = Measured::default();
    let mut rows = Vec::new();
    // p50 and p99 of the thread and of hangup.
    let mut points = [(); 4].map(|()| Vec::new());
    for wanted in SIZES {
        let count = wanted.min(most);
        let (_crowd, idle) = Crowd::connect(count)?;
        let observers = [poll_thread(), among(idle)?];
        let times = race::race(&observers, WARM_UP, ROUNDS)?;
        let [thread, ours] = &times[..] else {
            return Err("an observer is missing".into());
        };
        let quantiles =
            [thread, ours].map(|times| [0.5, 0.99].map(|quantile| times.microseconds(quantile)));
        for (points, value) in points.iter_mut().zip(quantiles.as_flattened()) {
            points.push((count as f64, *value));
        }
        let p50 = ratios(ours, thread, 0.5);
        let p99 = ratios(ours, thread, 0.99);
        measured.spread(&format!("p50.{wanted}"), p50, 2);
        measured.spread(&format!("p99.{wanted}"), p99, 2);
        rows.push([
            count.to_string(),
            format!("{:.1}", quantiles[0][0]),
            format!("{:.1}", quantiles[0][1]),
            format!("{:.1}", quantiles[1][0]),
            format!("{:.1}", quantiles[1][1]),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
        ]);
        if count < wanted {
            break;
        }
    }
    measured.paragraph(format_args!(
        "One connection after the other is closed, while the same runtime (multi-thread, two workers) watches so many idle\n\
         ones. The thread in `poll(2)` watches one connection alone. {ROUNDS} rounds of each, in turn; times in microseconds."
    ));
    if most < SIZES[SIZES.len() - 1] {
        measured.paragraph(format_args!(
            "This machine gives a process {} descriptors, so that 60 000 connections could not be measured, and {most} stand in\n\
             their place.",
            most + crowd::RESERVE
        ));
    }
    measured.table(
        [
            "idle connections",
            "poll(2), p50",
            "poll(2), p99",
            "hangup, p50",
            "hangup, p99",
            "p50, of the thread's",
            "p99, of the thread's",
        ],
        rows,
    );
    measured.plot(
        "growth",
        "Detection as the number of idle connections grows",
        plot(points)?,
    );
    Ok(measured)
}

/// An observer whose runtime watches `idle` too.
fn among(idle: Vec<TcpStream>) -> io::Result<Observer> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let watched = {
        let _entered = runtime.enter();
        let watch = |stream| MonitoredStream::new(tokio_stream(stream)?);
        idle.into_iter()
            .map(watch)
            .collect::<io::Result<Vec<_>>>()?
    };
    Ok(in_a_task(
        HANGUP,
        "multi-thread, 2",
        runtime,
        move |socket, watching| {
            // They live as long as the task.
            let _ = &watched;
            await_closed(socket, watching)
        },
    ))
}

fn plot(points: [Vec<(f64, f64)>; 4]) -> Result<String> {
    let names = [
        "thread in poll(2), p50",
        "thread in poll(2), p99",
        "hangup, p50",
        "hangup, p99",
    ];
    let highest = points
        .iter()
        .flatten()
        .map(|point| point.1)
        .fold(0.0, f64::max);
    let most = points
        .iter()
        .flatten()
        .map(|point| point.0)
        .fold(0.0, f64::max);
    let series: Vec<_> = names
        .into_iter()
        .zip(points)
        .enumerate()
        .map(|(number, (name, points))| Series {
            name: name.to_owned(),
            whiskers: points.iter().map(|point| (point.1, point.1)).collect(),
            points,
            dashed: number % 2 == 1,
            colour: number / 2,
        })
        .collect();
    let x = Axis {
        name: "idle connections that are watched too",
        range: 8.0..most * 1.2,
        logarithmic: true,
    };
    let y = Axis {
        name: "microseconds from the peer's close()",
        range: 3.0..highest.max(100.0) * 10.0,
        logarithmic: true,
    };
    lines(&x, &y, &series, None, Legend::UpperLeft)
}
