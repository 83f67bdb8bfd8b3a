//! A section of the page: what measures it, and what it has measured.

use crate::Result;
use crate::spread::Spread;
use std::fmt::{Display, Write};

/// A section that can be measured alone.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) measure: fn() -> Result<Measured>,
}

/// The text of a section in Markdown, its figures, and its plots.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) text: String,
    /// Names without the section's, and values.
    pub(crate) figures: Vec<(String, String)>,
    /// The names of files without their ending, and SVG.
    pub(crate) plots: Vec<(&'static str, String)>,
}

impl Measured {
    pub(crate) fn paragraph(&mut self, text: impl Display) {
        // To write to a String cannot fail.
        let _ = write!(self.text, "{text}\n\n");
    }

    pub(crate) fn table<const COLUMNS: usize>(
        &mut self,
        heads: [&str; COLUMNS],
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) {
        let _ = writeln!(self.text, "| {} |", heads.join(" | "));
        let _ = writeln!(self.text, "|{}", "---|".repeat(COLUMNS));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
        self.text.push('\n');
    }

    pub(crate) fn plot(&mut self, name: &'static str, what: &str, svg: String) {
        self.paragraph(format_args!("![{what}](performance/{name}.svg)"));
        self.plots.push((name, svg));
    }

    pub(crate) fn figure(&mut self, name: impl Into<String>, value: impl Display) {
        self.figures.push((name.into(), value.to_string()));
    }

    /// A median and its quartiles.
    pub(crate) fn spread(&mut self, name: &str, spread: Spread, places: usize) {
        self.figure(name, format_args!("{:.places$}", spread.median));
        self.figure(
            format!("{name}.low"),
            format_args!("{:.places$}", spread.low),
        );
        self.figure(
            format!("{name}.high"),
            format_args!("{:.places$}", spread.high),
        );
    }
}
