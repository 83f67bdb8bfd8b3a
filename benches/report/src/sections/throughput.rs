//! Calls of all sizes, beside the bare stream.

#[path = "../../../overhead/instructions.rs"]
mod instructions;
#[path = "../../../overhead/life.rs"]
mod life;
#[path = "../../../overhead/loopback.rs"]
mod loopback;
#[path = "../../../overhead/memory.rs"]
mod memory;
#[path = "../../../overhead/ready.rs"]
mod ready;
#[path = "../../../overhead/slices.rs"]
#[expect(dead_code, reason = "instructions are told by the benchmark")]
mod slices;

use crate::Result;
use crate::plot::{Axis, Legend, Series, lines};
use crate::section::Measured;
use crate::spread::Spread;
use instructions::Counter;
use slices::{Comparison, Meter, Quartiles};
use std::ops::Range;
use std::time::Duration;

/// For how long each case is measured.
const TIME: Duration = Duration::from_millis(2500);

/// What the plot shows.
const SHOWN: Range<f64> = 0.8..1.1;

/// The least part of the bare stream's throughput.
const TARGET: f64 = 0.99;

pub(crate) fn measure() -> Result<Measured> {
    let mut meter = Meter::new(Counter::new().ok());
    let mut measured = Measured::default();
    measured.paragraph(
        "Bare, monitored and bare in turns of about a millisecond on one TCP connection over loopback, whose other end is a\n\
         thread that never sleeps. The noise is what two bare turns differ by. Nanoseconds are those of a call.\n\
         The fastest tenth compares the turns that the rest of the machine disturbed least.",
    );
    let mut rows = Vec::new();
    let mut series = [("read", 2), ("write", 1)].map(|(name, colour)| Series {
        name: name.to_owned(),
        points: Vec::new(),
        whiskers: Vec::new(),
        dashed: false,
        colour,
    });
    for case in loopback::CASES {
        let comparison = loopback::compare(case, &mut meter, TIME)?;
        let throughput = comparison.throughput();
        rows.push(row(case.name, &comparison));
        // Four buffers of 1 KiB are one write of 4 KiB.
        if case.name.contains(" x ") {
            continue;
        }
        for series in &mut series {
            if case.name.starts_with(&series.name) {
                measured.figure(
                    format!("{}.{}.fastest", series.name, case.size),
                    format_args!("{:.3}", comparison.fastest_throughput()),
                );
                measured.spread(
                    &format!("{}.{}", series.name, case.size),
                    spread(throughput),
                    3,
                );
                series.points.push((case.size as f64, throughput.median));
                series.whiskers.push((throughput.low, throughput.high));
            }
        }
    }
    for series in &series {
        let worst = series.points.iter().zip(&series.whiskers);
        if let Some((point, (low, high))) = worst.min_by(|a, b| a.0.1.total_cmp(&b.0.1)) {
            let worst = Spread {
                low: *low,
                median: point.1,
                high: *high,
            };
            measured.spread(&format!("{}.worst", series.name), worst, 3);
        }
    }
    for (name, comparison) in memory::compare(&mut meter, TIME)? {
        rows.push(row(&format!("{name}, in memory"), &comparison));
        let call = name.split(' ').next().unwrap_or_default();
        measured.spread(
            &format!("memory.{call}.ns"),
            spread(comparison.more_nanoseconds()),
            0,
        );
    }
    measured.table(
        [
            "call",
            "bare, MB/s",
            "throughput, of bare",
            "the fastest tenth",
            "noise",
            "bare, ns",
            "more, ns",
        ],
        rows,
    );
    let life = life::measure(true)?;
    measured.figure("wrap.ns", format_args!("{:.0}", life.watched));
    measured.figure("wrap.us", format_args!("{:.1}", life.watched / 1e3));
    measured.paragraph(format_args!(
        "To wrap a TCP stream and to take it out again takes {:.0} ns, the fastest of many rounds; a stream without a socket\n\
         takes {:.0} ns.",
        life.watched, life.unwatched
    ));
    measured.plot(
        "throughput",
        "Throughput of each size, as a part of the bare stream's",
        plot(series)?,
    );
    Ok(measured)
}

fn row(name: &str, comparison: &Comparison) -> [String; 7] {
    [
        name.to_owned(),
        format!("{:.0}", comparison.megabytes_per_second()),
        format!("{:.3}", spread(comparison.throughput())),
        format!("{:.3}", comparison.fastest_throughput()),
        format!("{:.3}", spread(comparison.noise())),
        format!("{:.1}", comparison.nanoseconds()),
        format!("{:.1}", spread(comparison.more_nanoseconds())),
    ]
}

fn spread(quartiles: Quartiles) -> Spread {
    let Quartiles {
        low, median, high, ..
    } = quartiles;
    Spread { low, median, high }
}

fn plot(mut series: [Series; 2]) -> Result<String> {
    // Where the machine was busy, whiskers end at the plot's ends.
    for ends in series.iter_mut().flat_map(|series| &mut series.whiskers) {
        *ends = (ends.0.max(SHOWN.start), ends.1.min(SHOWN.end));
    }
    let x = Axis {
        name: "bytes of a call",
        range: 48.0..90_000.0,
        logarithmic: true,
    };
    let y = Axis {
        name: "throughput, of the bare stream's",
        range: SHOWN,
        logarithmic: false,
    };
    lines(&x, &y, &series, Some(TARGET), Legend::LowerRight)
}
