//! The responses that have ended, and the reasons.

use crate::board::{KEPT, View};
use crate::dashboard::table::{row, section};
use crate::dashboard::words::{ago, count, request, size, time};
use crate::ended::{Ended, Outcome};
use crate::html::escape;
use std::time::Instant;

const COLUMNS: [&str; 6] = ["Client", "Request", "Outcome", "Delivered", "Took", "Ended"];
const REASONS: [&str; 2] = ["Reason", "Connections"];

pub(crate) fn ended(view: &View, now: Instant) -> String {
    let rows: String = view
        .ended
        .iter()
        .map(|(number, ended)| line(*number, ended, now))
        .collect();
    let title = format!("Ended responses, the last {KEPT}");
    section("ended", &title, &COLUMNS, &rows, "None has ended.")
}

fn line(number: u64, ended: &Ended, now: Instant) -> String {
    let acknowledged = ended.acknowledged();
    let (kind, outcome) = match ended.outcome(acknowledged) {
        Outcome::Complete => ("complete", "complete".to_owned()),
        Outcome::Sent => ("sent", "sent".to_owned()),
        Outcome::CutShort(why) => ("cut", escape(&why)),
    };
    let delivered = acknowledged.map_or_else(|| "unknown".to_owned(), size);
    let cells = [
        ended.client.to_string(),
        format!("<bdi>{}</bdi>", request(&ended.exchange)),
        outcome,
        format!("{delivered} of {}", size(ended.bytes)),
        time(ended.at.saturating_duration_since(ended.begun)),
        ago(now.saturating_duration_since(ended.at)),
    ];
    row(&format!("e{number}"), kind, &COLUMNS, &cells)
}

pub(crate) fn reasons(view: &View) -> String {
    let mut rows = String::new();
    for (reason, number) in &view.totals.reasons {
        let cells = [escape(reason), count(*number)];
        let id = format!(
            "r-{}",
            reason.replace(|char: char| !char.is_alphanumeric(), "-")
        );
        rows += &row(&id, "reason", &REASONS, &cells);
    }
    let title = "Why connections closed";
    section("reasons", title, &REASONS, &rows, "None has closed.")
}
