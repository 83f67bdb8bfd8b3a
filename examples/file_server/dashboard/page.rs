//! The page: the same rows for the page itself and for what its script is told.

use crate::board::{KEPT, View};
use crate::dashboard::pace::{Pace, Paces};
use crate::dashboard::words::{ago, count, request, size, time};
use crate::ended::{Ended, Outcome};
use crate::html::escape;
use crate::ledger::{Audience, Ledger, Progress};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

const FRAME: &str = include_str!("page.html");
/// Where the snapshot stands in the frame.
const PLACE: &str = "<!-- snapshot -->";
/// So many open connections are shown. The kernel is asked about these only.
const SHOWN: usize = 100;

const OPEN: [&str; 8] = [
    "Client",
    "Request",
    "Progress",
    "Accepted",
    "Acknowledged",
    "Rate",
    "Age",
    "Status",
];
const ENDED: [&str; 6] = ["Client", "Request", "Outcome", "Delivered", "Took", "Ended"];

/// The whole page.
pub(crate) fn page(view: &View) -> String {
    FRAME.replacen(PLACE, &Snapshots::default().next(view), 1)
}

/// One snapshot after the other: from two of them follows how fast it goes.
#[derive(Default)]
pub(crate) struct Snapshots {
    paces: Paces,
}

impl Snapshots {
    pub(crate) fn next(&mut self, view: &View) -> Arc<str> {
        let now = Instant::now();
        let snapshot = [
            totals(view, now),
            self.open(view, now),
            ended(view, now),
            reasons(view),
        ];
        self.paces.sweep();
        snapshot.concat().into()
    }

    fn open(&mut self, view: &View, now: Instant) -> String {
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
        let rows: String = open
            .into_iter()
            .map(|(number, ledger, progress)| self.row(number, ledger, progress, now))
            .collect();
        let mut section = table("open", "Open connections", &OPEN, &rows, "None is open.");
        if hidden > 0 {
            section += &format!("<p>And {} more.</p>\n", count(hidden as u64));
        }
        section
    }

    fn row(
        &mut self,
        number: u64,
        ledger: &Ledger,
        progress: Option<Progress>,
        now: Instant,
    ) -> String {
        let status = ledger.monitor.status();
        let closed = status.reason().map(|_| escape(&status.to_string()));
        let age = time_of(now, ledger.since);
        let mut cells = [(); 8].map(|()| String::new());
        cells[0] = client(ledger.client);
        cells[6] = age;
        let kind = match progress {
            None => {
                cells[1] = "none at present".to_owned();
                cells[7] = "idle".to_owned();
                "idle"
            }
            Some(Progress {
                audience: Audience::Onlooker,
                request: line,
                ..
            }) => {
                cells[1] = format!("<bdi>{}</bdi>", request(&line));
                cells[7] = "watches this dashboard".to_owned();
                "onlooker"
            }
            Some(progress) => {
                let transfer = ledger.monitor.transfer();
                let accepted = progress.of_body(transfer.accepted);
                let acknowledged = transfer.acknowledged.map(|bytes| progress.of_body(bytes));
                let delivered = acknowledged.unwrap_or(accepted);
                let Pace { rate, stalled } =
                    self.paces.look(number, progress.begun, delivered, now);
                let line = request(&progress.request);
                cells[1] = format!("<bdi>{line}</bdi>");
                cells[2] = bar(delivered, progress.bytes, &line);
                cells[3] = size(accepted);
                cells[4] = acknowledged.map_or_else(unknown, size);
                cells[5] = format!("{}/s", size(rate));
                cells[7] = match stalled {
                    Some(still) => format!("stalled for {}", time(still)),
                    None => "sending".to_owned(),
                };
                if stalled.is_some() {
                    "stalled"
                } else {
                    "sending"
                }
            }
        };
        let kind = match closed {
            Some(closed) => {
                cells[7] = closed;
                "cut"
            }
            None => kind,
        };
        row(&format!("c{number}"), kind, &OPEN, &cells)
    }
}

fn totals(view: &View, now: Instant) -> String {
    let totals = &view.totals;
    let facts = [
        ("Open connections", count(view.open.len() as u64)),
        ("Connections", count(totals.connections)),
        ("Responses ended", count(totals.responses)),
        ("Cut short", count(totals.cut_short)),
        ("Accepted", size(totals.accepted)),
        ("Up for", time_of(now, view.since)),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"))
        .collect();
    format!("<section aria-label=\"Totals\">\n<dl class=\"totals\">\n{facts}</dl>\n</section>\n")
}

fn ended(view: &View, now: Instant) -> String {
    let rows: String = view
        .ended
        .iter()
        .map(|(number, ended)| ended_row(*number, ended, now))
        .collect();
    let title = format!("Ended responses, the last {KEPT}");
    table("ended", &title, &ENDED, &rows, "None has ended.")
}

fn ended_row(number: u64, ended: &Ended, now: Instant) -> String {
    let acknowledged = ended.acknowledged();
    let (kind, outcome) = match ended.outcome(acknowledged) {
        Outcome::Complete => ("complete", "complete".to_owned()),
        Outcome::Sent => ("sent", "sent".to_owned()),
        Outcome::CutShort(why) => ("cut", escape(&why)),
    };
    let cells = [
        client(ended.client),
        format!("<bdi>{}</bdi>", request(&ended.exchange.to_string())),
        outcome,
        format!(
            "{} of {}",
            acknowledged.map_or_else(unknown, size),
            size(ended.bytes)
        ),
        time_of(ended.at, ended.begun),
        ago(now.saturating_duration_since(ended.at)),
    ];
    row(&format!("e{number}"), kind, &ENDED, &cells)
}

fn reasons(view: &View) -> String {
    let rows: String = view
        .totals
        .reasons
        .iter()
        .map(|(reason, number)| {
            let cells = [escape(reason), count(*number)];
            row(
                &format!("r-{}", cells[0].replace(' ', "-")),
                "",
                &REASONS,
                &cells,
            )
        })
        .collect();
    table(
        "reasons",
        "Why connections closed",
        &REASONS,
        &rows,
        "None has closed.",
    )
}

const REASONS: [&str; 2] = ["Reason", "Connections"];

/// A table under its heading. The roles are spelt out for browsers that forget them when a narrow
/// screen lays the rows out as blocks.
fn table(id: &str, title: &str, columns: &[&str], rows: &str, empty: &str) -> String {
    let mut section = format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n"
    );
    if rows.is_empty() {
        section += &format!("<p>{empty}</p>\n</section>\n");
        return section;
    }
    let head: String = columns
        .iter()
        .map(|column| format!("<th scope=\"col\" role=\"columnheader\">{column}</th>"))
        .collect();
    section += &format!(
        "<table role=\"table\" aria-labelledby=\"{id}-title\">\n\
         <thead role=\"rowgroup\"><tr role=\"row\">{head}</tr></thead>\n\
         <tbody role=\"rowgroup\">\n{rows}</tbody>\n</table>\n</section>\n"
    );
    section
}

/// The first cell names the row.
fn row(id: &str, kind: &str, columns: &[&str], cells: &[String]) -> String {
    let mut row = format!("<tr id=\"{id}\" class=\"{kind}\" role=\"row\">");
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let (tag, role) = match index {
            0 => ("th scope=\"row\"", "rowheader"),
            _ => ("td", "cell"),
        };
        let end = &tag[..2];
        let class = column.to_lowercase();
        row += &format!(
            "<{tag} role=\"{role}\" class=\"{class}\" data-column=\"{column}\">{cell}</{end}>"
        );
    }
    row += "</tr>\n";
    row
}

fn bar(bytes: u64, of: u64, what: &str) -> String {
    let percent = match of {
        0 => 100,
        _ => u128::from(bytes) * 100 / u128::from(of),
    };
    format!(
        "<progress max=\"100\" value=\"{percent}\" aria-label=\"{what}\">{percent} %</progress> \
         <span class=\"percent\">{percent} % of {}</span>",
        size(of)
    )
}

fn client(address: SocketAddr) -> String {
    address.to_string()
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn time_of(now: Instant, then: Instant) -> String {
    time(now.saturating_duration_since(then))
}
