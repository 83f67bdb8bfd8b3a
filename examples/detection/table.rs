//! The table.

use super::cell::Outcome;
use super::monitored::WINDOW;
use super::options::Options;
use super::server::Server;
use super::way::Way;
use indicatif::HumanBytes;
use std::collections::BTreeMap;
use std::fmt::Write;

const NAME: usize = 34;
const CELL: usize = 22;

pub(crate) fn draw(rows: &BTreeMap<Way, Vec<Outcome>>, options: &Options) -> String {
    let mut table = String::new();
    line(&mut table, "way of leaving", Server::ALL.map(Server::name));
    for (way, outcomes) in rows {
        table.push('\n');
        line(&mut table, way.name(), outcomes.iter().map(figures));
        if outcomes.iter().any(|outcome| outcome.known.is_some()) {
            line(&mut table, "", outcomes.iter().map(reason));
        }
    }
    // To write to a String cannot fail.
    let _ = write!(
        table,
        "\n\
        Each cell: the time until the handler knew, and the bytes that it produced in that time;\n\
        below, the reason that it got. \"never\" means: not within {} s.\n\
        * The naive send loop notices failed writes only, and an idle handler writes nothing.\n\
        * The read-loop watcher has to keep what it reads, and stops after {} B (--read-ahead).\n\
        * A client that stays connected without reading has not left. `hangup` uses a stall policy here:\n  \
          at least 64 KiB in {} s, while there is something to send.\n",
        options.limit().as_secs(),
        options.read_ahead(),
        WINDOW.as_secs(),
    );
    table
}

fn line(table: &mut String, name: &str, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut line = format!("{name:NAME$}");
    for cell in cells {
        let _ = write!(line, "{:CELL$}", cell.as_ref());
    }
    table.push_str(line.trim_end());
    table.push('\n');
}

fn figures(outcome: &Outcome) -> String {
    let produced = HumanBytes(outcome.produced);
    match &outcome.known {
        Some((late, _)) => format!("{:.2} ms, {produced}", late.as_secs_f64() * 1e3),
        None => format!("never, {produced}"),
    }
}

fn reason(outcome: &Outcome) -> &str {
    match &outcome.known {
        Some((_, reason)) => reason,
        None => "",
    }
}
