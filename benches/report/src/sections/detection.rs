//! From the peer's close to the user's code.

#[path = "../../../detection/observer.rs"]
pub(super) mod observer;
#[path = "../../../detection/race.rs"]
pub(super) mod race;

use crate::Result;
use crate::plot::{Axis, Legend, Series, lines};
use crate::section::Measured;
use crate::spread::Spread;
use race::{Times, microseconds, race};
use std::time::Duration;

const WARM_UP: usize = 300;
const ROUNDS: usize = 5000;

/// So many rounds make one value of a ratio.
const PART: usize = 500;

pub(crate) fn measure() -> Result<Measured> {
    let times = race(&observer::all()?, WARM_UP, ROUNDS)?;
    let first = &times[0];
    let mut measured = Measured::default();
    measured.paragraph(format_args!(
        "From the peer's `close()` to the user's code on an idle connection, {ROUNDS} rounds of each, in turn. A thread that\n\
         is blocked in `poll(2)` is as fast as the kernel and std can tell. A ratio is the median of those of {} parts of\n\
         {PART} rounds.",
        ROUNDS / PART
    ));
    let mut rows = Vec::new();
    for times in &times {
        let ratios = [0.5, 0.99].map(|quantile| ratios(times, first, quantile));
        if times.runtime != first.runtime {
            let flavour = times.runtime.split(',').next().unwrap_or_default();
            let kind = match times.name {
                observer::HANGUP => "",
                _ => "read-loop.",
            };
            for (quantile, ratio) in ["p50", "p99"].into_iter().zip(ratios) {
                measured.spread(&format!("{kind}{quantile}.{flavour}"), ratio, 2);
            }
        }
        rows.push([
            times.name.to_owned(),
            times.runtime.to_owned(),
            format!("{:.1}", times.microseconds(0.5)),
            format!("{:.1}", times.microseconds(0.99)),
            format!("{:.2}", ratios[0]),
            format!("{:.2}", ratios[1]),
        ]);
    }
    measured.table(
        [
            "",
            "runtime",
            "p50, µs",
            "p99, µs",
            "p50, of the thread's",
            "p99, of the thread's",
        ],
        rows,
    );
    measured.plot(
        "detection",
        "The part of the closes that were told within a time",
        plot(&times)?,
    );
    Ok(measured)
}

/// How many times the thread's quantile this one's is, part by part.
pub(super) fn ratios(times: &Times, first: &Times, quantile: f64) -> Spread {
    let values = |times: &Times| -> Vec<f64> {
        let parts = times.rounds.chunks(PART);
        parts.map(|part| microseconds(part, quantile)).collect()
    };
    Spread::of_ratios(&values(times), &values(first))
}

fn plot(times: &[Times]) -> Result<String> {
    let mut series = Vec::new();
    for times in times {
        let multi = times.runtime.starts_with("multi");
        let colour = match times.name {
            observer::HANGUP => 1,
            "read loop" => 2,
            _ => 0,
        };
        series.push(Series {
            name: match colour {
                0 => times.name.to_owned(),
                _ => format!("{}, {}", times.name, times.runtime),
            },
            points: distribution(&times.rounds),
            whiskers: Vec::new(),
            dashed: multi,
            colour,
        });
    }
    let ends =
        [0.001, 0.999].map(|quantile| times.iter().map(move |times| times.microseconds(quantile)));
    let [low, high] = ends.map(Spread::of);
    let x = Axis {
        name: "microseconds from the peer's close()",
        range: low.low * 0.8..high.high * 1.3,
        logarithmic: true,
    };
    let y = Axis {
        name: "part of the closes that were told",
        range: 0.0..1.0,
        logarithmic: false,
    };
    lines(&x, &y, &series, None, Legend::LowerRight)
}

/// Two hundred points of the cumulative distribution.
fn distribution(rounds: &[Duration]) -> Vec<(f64, f64)> {
    let quantiles = (1..=200).map(|part| f64::from(part) / 200.0 * 0.999);
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable();
    quantiles
        .map(|quantile| {
            let at = (quantile * (sorted.len() - 1) as f64) as usize;
            (sorted[at].as_secs_f64() * 1e6, quantile)
        })
        .collect()
}
