//! The open connections, and the progress of their responses.

use super::html::escape;
use super::pace::{Pace, Paces};
use super::table::{row, section};
use super::text::{count, size, time};
use crate::board::View;
use crate::connection::Connection;
use crate::response::Response;
use std::time::Instant;

/// The number of rows. The kernel is asked only about the connections that are shown.
const SHOWN: usize = 100;

const COLUMNS: [&str; 7] = [
    "Client",
    "Request",
    "Status",
    "Progress",
    "In flight",
    "Rate",
    "Age",
];

pub(super) fn open(view: &View, paces: &mut Paces, now: Instant) -> String {
    // Connections with a response first, each in the order in which they came.
    let running = |(number, connection)| (number, connection, Connection::running(connection));
    let open = view
        .open
        .iter()
        .map(|(number, connection)| running((*number, connection)));
    let (busy, idle): (Vec<_>, Vec<_>) = open.partition(|(.., running)| !running.is_empty());
    let busy = busy.into_iter().flat_map(|(number, connection, running)| {
        let rows = running.into_iter();
        rows.map(move |(response, running)| (number, connection, Some((response, running))))
    });
    let idle = idle
        .into_iter()
        .map(|(number, connection, _)| (number, connection, None));
    let mut all = busy.chain(idle);

    let mut rows = String::new();
    for (number, connection, running) in all.by_ref().take(SHOWN) {
        let mut id = format!("c{number}");
        let line = match running {
            None => Line::idle(connection),
            Some((response, running)) => {
                id += &format!("-{response}");
                Line::sending(connection, &running, (number, response), paces, now)
            }
        };
        let since = time(now.saturating_duration_since(connection.since));
        let cells = [
            connection.peer.to_string(),
            format!("<bdi>{}</bdi>", line.request),
            line.status,
            line.progress,
            line.in_flight,
            line.rate,
            since,
        ];
        rows += &row(&id, line.kind, &COLUMNS, &cells);
    }
    let title = "Open connections";
    let mut section = section("open", title, &COLUMNS, &rows, "No connection is open.");
    let hidden = all.count() as u64;
    if hidden > 0 {
        section += &format!("<p>And {} more.</p>\n", count(hidden));
    }
    section
}

/// The cells that depend on the state of the connection.
#[derive(Default)]
struct Line {
    kind: &'static str,
    request: String,
    status: String,
    progress: String,
    in_flight: String,
    rate: String,
}

impl Line {
    /// A connection without a response: between two requests, or one that does not use HTTP.
    fn idle(connection: &Connection) -> Self {
        let transfer = connection.monitor.transfer();
        Self {
            kind: "idle",
            status: "open".to_owned(),
            progress: format!(
                "{} received, {} sent",
                size(transfer.read),
                size(transfer.accepted)
            ),
            in_flight: in_flight(connection).1,
            ..Self::default()
        }
    }

    fn sending(
        connection: &Connection,
        response: &Response,
        id: (u64, u64),
        paces: &mut Paces,
        now: Instant,
    ) -> Self {
        let request = response.request();
        let shown = escape(&request.to_string());
        if request.status.is_none() {
            return Self {
                kind: "handling",
                request: shown,
                status: "in the handler".to_owned(),
                ..Self::default()
            };
        }
        let sent = response.sent();
        let (unacknowledged, in_flight) = in_flight(connection);
        let acknowledged = connection.monitor.transfer().acknowledged.unwrap_or(0);
        let Pace { rate, still } = paces.look(id, response.begun, sent, acknowledged, now);
        let (kind, status) = match (still, unacknowledged) {
            (None, _) => ("sending", "sending".to_owned()),
            // There is nothing for the client to read.
            (Some(_), Some(0)) => ("idle", "waiting for data".to_owned()),
            (Some(still), _) => ("stalled", format!("stalled for {}", time(still))),
        };
        Self {
            kind,
            status,
            progress: progress(sent, response.length(), &shown),
            request: shown,
            in_flight,
            rate: format!("{}/s", size(rate)),
        }
    }
}

/// The bytes that the client's system has not acknowledged, if they are known.
fn in_flight(connection: &Connection) -> (Option<u64>, String) {
    let transfer = connection.monitor.transfer();
    let bytes = transfer
        .acknowledged
        .map(|bytes| transfer.accepted.saturating_sub(bytes));
    (bytes, bytes.map_or_else(|| "unknown".to_owned(), size))
}

/// It reaches 100 % only when all bytes are sent.
fn progress(bytes: u64, length: Option<u64>, what: &str) -> String {
    let of = match length {
        None => return size(bytes),
        Some(0) => return "no body".to_owned(),
        Some(length) => length,
    };
    let permille = u128::from(bytes.min(of)) * 1000 / u128::from(of);
    let percent = format!("{}.{} %", permille / 10, permille % 10);
    format!(
        "<progress max=\"{of}\" value=\"{bytes}\" aria-label=\"{what}\">{percent}</progress> \
         <span class=\"percent\">{percent} of {}</span>",
        size(of)
    )
}
