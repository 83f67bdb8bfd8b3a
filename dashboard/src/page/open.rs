//! The open connections, and how far their downloads are.

use crate::board::View;
use crate::dashboard::pace::{Pace, Paces};
use crate::dashboard::table::{row, section};
use crate::dashboard::words::{count, request, size, time};
use crate::html::escape;
use crate::ledger::{Audience, Ledger, Progress};
use std::time::Instant;

/// So many are shown. The kernel is asked about these only.
const SHOWN: usize = 100;

const COLUMNS: [&str; 8] = [
    "Client",
    "Request",
    "Status",
    "Progress",
    "Acknowledged",
    "Accepted",
    "Rate",
    "Age",
];

pub(crate) fn open(view: &View, paces: &mut Paces, now: Instant) -> String {
    let mut open: Vec<_> = view
        .open
        .iter()
        .map(|(number, ledger)| (*number, ledger, ledger.progress()))
        .collect();
    // Downloads first, in the order of the connections; then those that wait; then onlookers.
    open.sort_by_key(|(_, _, progress)| match progress {
        Some(progress) => match progress.audience {
            Audience::Client => 0,
            Audience::Onlooker => 2,
        },
        None => 1,
    });
    let hidden = open.len().saturating_sub(SHOWN);
    open.truncate(SHOWN);
    let mut rows = String::new();
    for (number, ledger, progress) in open {
        let mut line = match progress {
            None => Line::new("idle", "none at present".to_owned(), "idle"),
            Some(progress) => match progress.audience {
                Audience::Onlooker => {
                    let request = request(&progress.exchange);
                    Line::new("onlooker", request, "watches this dashboard")
                }
                Audience::Client => download(number, ledger, &progress, paces, now),
            },
        };
        let status = ledger.monitor.status();
        if status.is_closed() {
            line.kind = "cut";
            line.status = escape(&status.to_string());
        }
        let age = time(now.saturating_duration_since(ledger.since));
        let cells = [
            ledger.client.to_string(),
            format!("<bdi>{}</bdi>", line.request),
            line.status,
            line.progress,
            line.acknowledged,
            line.accepted,
            line.rate,
            age,
        ];
        rows += &row(&format!("c{number}"), line.kind, &COLUMNS, &cells);
    }
    let mut section = section("open", "Open connections", &COLUMNS, &rows, "None is open.");
    if hidden > 0 {
        section += &format!("<p>And {} more.</p>\n", count(hidden as u64));
    }
    section
}

/// What differs between a download and a connection that waits.
#[derive(Default)]
struct Line {
    kind: &'static str,
    request: String,
    status: String,
    progress: String,
    acknowledged: String,
    accepted: String,
    rate: String,
}

impl Line {
    fn new(kind: &'static str, request: String, status: &str) -> Self {
        Self {
            kind,
            request,
            status: status.to_owned(),
            ..Self::default()
        }
    }
}

fn download(
    number: u64,
    ledger: &Ledger,
    progress: &Progress,
    paces: &mut Paces,
    now: Instant,
) -> Line {
    let transfer = ledger.monitor.transfer();
    let accepted = progress.of_body(transfer.accepted);
    let acknowledged = transfer.acknowledged.map(|bytes| progress.of_body(bytes));
    let delivered = acknowledged.unwrap_or(accepted);
    let Pace { rate, stalled } = paces.look(number, progress.begun, delivered, now);
    let request = request(&progress.exchange);
    let (kind, status) = match stalled {
        Some(still) => ("stalled", format!("stalled for {}", time(still))),
        None => ("sending", "sending".to_owned()),
    };
    Line {
        kind,
        status,
        progress: bar(delivered, progress.bytes, &request),
        request,
        acknowledged: acknowledged.map_or_else(|| "unknown".to_owned(), size),
        accepted: size(accepted),
        rate: format!("{}/s", size(rate)),
    }
}

/// It is 100 % only when nothing is left.
fn bar(bytes: u64, of: u64, what: &str) -> String {
    if of == 0 {
        return "no body".to_owned();
    }
    let permille = u128::from(bytes) * 1000 / u128::from(of);
    let percent = format!("{}.{} %", permille / 10, permille % 10);
    format!(
        "<progress max=\"{of}\" value=\"{bytes}\" aria-label=\"{what}\">{percent}</progress> \
         <span class=\"percent\">{percent} of {}</span>",
        size(of)
    )
}
