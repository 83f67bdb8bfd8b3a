//! The page: the same sections for the page itself and for what its script is told.

use crate::board::View;
use crate::dashboard::ended::{ended, reasons};
use crate::dashboard::open::open;
use crate::dashboard::pace::Paces;
use crate::dashboard::words::{count, size, time};
use std::sync::Arc;
use std::time::Instant;

const FRAME: &str = include_str!("page.html");
/// Where the snapshot stands in the frame.
const PLACE: &str = "<!-- snapshot -->";

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
        let sections = [
            totals(view, now),
            open(view, &mut self.paces, now),
            ended(view, now),
            reasons(view),
        ];
        self.paces.sweep();
        sections.concat().into()
    }
}

fn totals(view: &View, now: Instant) -> String {
    let totals = &view.totals;
    let facts = [
        ("Open now", count(view.open.len() as u64)),
        ("Connections so far", count(totals.connections)),
        ("Ended responses", count(totals.responses)),
        ("Cut short", count(totals.cut_short)),
        ("Accepted by ended ones", size(totals.accepted)),
        ("Up for", time(now.saturating_duration_since(view.since))),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"))
        .collect();
    format!("<section aria-label=\"Totals\">\n<dl class=\"totals\">\n{facts}</dl>\n</section>\n")
}
