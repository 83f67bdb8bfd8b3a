//! The page. Its sections are sent in the page itself, and again in each event for its script.

mod ended;
mod html;
mod open;
mod pace;
mod table;
mod text;

use crate::board::View;
use ended::{ended, reasons};
use html::escape;
use open::open;
use pace::Paces;
use std::sync::Arc;
use std::time::Instant;
use text::{count, size, time};

const FRAME: &str = include_str!("page.html");

/// The whole page. `links` comes before the names of its files.
pub(crate) fn page(title: &str, links: &str, view: &View) -> String {
    // The snapshot is inserted last: it contains text of clients, which must not count as a placeholder.
    FRAME
        .replace("<!-- title -->", &escape(title))
        .replace("<!-- links -->", links)
        .replacen("<!-- snapshot -->", &Snapshots::default().next(view), 1)
}

/// The relative prefix of the links on a page at `path`. They are relative because a proxy may add a prefix to the path.
pub(crate) fn page_links(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((_, "")) | None => String::new(),
        Some((_, page)) => escape(&format!("{page}/")),
    }
}

/// Renders one snapshot after the other. The rates come from the difference of two snapshots.
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
        ("Open connections", count(view.open.len() as u64)),
        ("Connections so far", count(totals.connections)),
        ("Ended responses", count(totals.responses)),
        ("Cut short", count(totals.cut_short)),
        ("Sent by ended responses", size(totals.sent)),
        (
            "Running for",
            time(now.saturating_duration_since(view.since)),
        ),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"))
        .collect();
    format!("<section aria-label=\"Totals\">\n<dl class=\"totals\">\n{facts}</dl>\n</section>\n")
}
