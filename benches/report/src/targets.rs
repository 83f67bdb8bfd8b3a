//! What the figures have to be.

use std::collections::BTreeMap;
use std::fmt::Write;

struct Target {
    what: &'static str,
    figure: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(&self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= *bound,
            Self::AtLeast(bound) => value >= *bound,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
        }
    }
}

const fn target(what: &'static str, figure: &'static str, bound: Bound) -> Target {
    Target {
        what,
        figure,
        bound,
    }
}

const TARGETS: &[Target] = {
    use Bound::{AtLeast, AtMost};
    &[
        target(
            "detection, p50, current-thread, of the poll(2) thread's",
            "detection.p50.current-thread",
            AtMost(1.25),
        ),
        target(
            "detection, p50, multi-thread, of the poll(2) thread's",
            "detection.p50.multi-thread",
            AtMost(1.25),
        ),
        target(
            "detection, p99, current-thread, of the poll(2) thread's",
            "detection.p99.current-thread",
            AtMost(1.5),
        ),
        target(
            "detection, p99, multi-thread, of the poll(2) thread's",
            "detection.p99.multi-thread",
            AtMost(1.5),
        ),
        target(
            "storm, last one told, current-thread, of the bare loop's",
            "storm.current-thread",
            AtMost(1.2),
        ),
        target(
            "storm, last one told, multi-thread, of the bare loop's",
            "storm.multi-thread",
            AtMost(1.2),
        ),
        target(
            "throughput, the worst of the sizes written, of the bare stream's",
            "throughput.write.worst",
            AtLeast(0.99),
        ),
        target(
            "throughput, the worst of the sizes read, of the bare stream's",
            "throughput.read.worst",
            AtLeast(0.99),
        ),
        target(
            "heap of an idle connection and its monitor, default features, bytes",
            "idle.heap",
            AtMost(256.0),
        ),
        target(
            "the same with the most connections that descriptors allow here",
            "idle.heap.most",
            AtMost(256.0),
        ),
    ]
};

/// A table that says which targets are reached.
pub(crate) fn table(figures: &BTreeMap<String, String>) -> String {
    let mut table = "| figure | target | measured | |\n|---|---|---|---|\n".to_owned();
    for target in TARGETS {
        let value = |suffix: &str| {
            let value = figures.get(&format!("{}{suffix}", target.figure))?;
            value.parse::<f64>().ok().map(|number| (number, value))
        };
        let (measured, verdict) = match (value(""), value(".low"), value(".high")) {
            (None, ..) => ("–".to_owned(), "not measured"),
            (Some((number, text)), Some((first, low)), Some((last, high))) => {
                let ends = [first, last].map(|end| target.bound.holds(end));
                let verdict = match (target.bound.holds(number), ends[0] == ends[1]) {
                    (true, true) => "reached",
                    (true, false) => "reached by the median, not by all of the quartiles",
                    (false, true) => "missed",
                    (false, false) => "missed by the median, not by all of the quartiles",
                };
                (format!("{text} ({low} to {high})"), verdict)
            }
            (Some((number, text)), ..) => {
                let verdict = ["missed", "reached"][usize::from(target.bound.holds(number))];
                (text.clone(), verdict)
            }
        };
        // To write to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {measured} | {verdict} |",
            target.what,
            target.bound.text()
        );
    }
    table
}
