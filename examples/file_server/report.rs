//! What the user sees: lines on standard output, and bars on standard error if it is a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, Write};

/// Downloads shorter than this have no bar: they are over before it could be seen.
const WORTH_A_BAR: u64 = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Report {
    bars: MultiProgress,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
        }
    }

    /// Prints a line, between the bars.
    pub(crate) fn line(&self, line: &str) {
        self.bars.suspend(|| {
            // A reader of our output that is gone is no reason to stop serving.
            let _ = writeln!(io::stdout(), "{line}");
        });
    }

    /// A bar for a download of `bytes`.
    pub(crate) fn bar(&self, what: &str, bytes: u64) -> ProgressBar {
        if bytes < WORTH_A_BAR {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{bar:24} {percent:>3} %  {bytes} of {total_bytes}, {bytes_per_sec}  {wide_msg}",
        );
        let bar = ProgressBar::new(bytes).with_message(what.to_owned());
        if let Ok(style) = style {
            bar.set_style(style);
        }
        self.bars.add(bar)
    }
}
