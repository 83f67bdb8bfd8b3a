//! The responses that have ended, and the reasons of the closed connections.

use super::html::escape;
use super::table::{row, section};
use super::text::{ago, count, size, time};
use crate::board::{KEPT, View};
use crate::ended_response::{Delivery, EndedResponse};
use std::time::Instant;

const COLUMNS: [&str; 7] = [
    "Client",
    "Request",
    "Outcome",
    "Sent",
    "Not acknowledged",
    "Took",
    "Ended",
];
const REASONS: [&str; 2] = ["Reason", "Connections"];

pub(super) fn ended(view: &View, now: Instant) -> String {
    let lines = view.ended.iter();
    let rows: String = lines
        .map(|(number, ended)| line(*number, ended, now))
        .collect();
    let title = format!("Ended responses, the last {KEPT}");
    section("ended", &title, &COLUMNS, &rows, "No response has ended.")
}

fn line(number: u64, ended: &EndedResponse, now: Instant) -> String {
    let (kind, outcome) = match ended.delivery() {
        Delivery::Complete => ("complete", "complete".to_owned()),
        Delivery::Sent => ("unconfirmed", "sent".to_owned()),
        Delivery::CutShort(why) => ("cut", escape(&why)),
    };
    let sent = size(ended.sent);
    let sent = match ended.length {
        Some(length) if length != ended.sent => format!("{sent} of {}", size(length)),
        _ => sent,
    };
    let cells = [
        ended.peer.to_string(),
        format!("<bdi>{}</bdi>", escape(&ended.request.to_string())),
        outcome,
        sent,
        ended.unacknowledged.map_or_else(String::new, size),
        time(ended.lasted),
        ago(now.saturating_duration_since(ended.at)),
    ];
    row(&format!("e{number}"), kind, &COLUMNS, &cells)
}

pub(super) fn reasons(view: &View) -> String {
    let mut rows = String::new();
    for (reason, number) in &view.totals.reasons {
        let cells = [escape(reason), count(*number)];
        let id = reason.replace(|char: char| !char.is_alphanumeric(), "-");
        rows += &row(&format!("r-{id}"), "reason", &REASONS, &cells);
    }
    let title = "Why connections closed";
    section(
        "reasons",
        title,
        &REASONS,
        &rows,
        "No connection has closed.",
    )
}
