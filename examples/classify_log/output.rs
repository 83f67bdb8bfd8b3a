//! What is printed: each line with its finding, or a summary of all of them.

use crate::reading::Finding;
use crate::summary::Summary;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Summary,
}

/// The output, by form.
#[derive(Debug)]
pub(crate) enum Output {
    Text(BufWriter<StdoutLock<'static>>),
    Json(BufWriter<StdoutLock<'static>>),
    Summary(Arc<Mutex<Summary>>),
}

impl Output {
    /// # Errors
    ///
    /// If Ctrl-C cannot be waited for, which prints the summary of a log that is followed.
    pub(crate) fn new(format: Format) -> io::Result<Self> {
        let stdout = || BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Ok(match format {
            Format::Text => Self::Text(stdout()),
            Format::Json => Self::Json(stdout()),
            Format::Summary => {
                let summary = Arc::new(Mutex::new(Summary::default()));
                print_on_ctrl_c(summary.clone())?;
                Self::Summary(summary)
            }
        })
    }

    /// A line, or as much of it as was read, with or without its line feed.
    pub(crate) fn line(&mut self, finding: Option<Finding>, line: &[u8]) -> io::Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match self {
            Self::Text(out) => {
                match finding {
                    Some(finding) => write!(out, "[{finding}] ")?,
                    None => out.write_all(b"[?] ")?,
                }
                out.write_all(line)
            }
            Self::Json(out) => write!(out, "{}", json(finding, line)),
            Self::Summary(summary) => {
                let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                summary.add(finding, line);
                Ok(())
            }
        }
    }

    /// More of a line that is too long to be read whole.
    pub(crate) fn rest(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Text(out) => out.write_all(part.strip_suffix(b"\n").unwrap_or(part)),
            Self::Json(_) | Self::Summary(_) => Ok(()),
        }
    }

    pub(crate) fn end_of_line(&mut self) -> io::Result<()> {
        match self {
            Self::Text(out) | Self::Json(out) => out.write_all(b"\n"),
            Self::Summary(_) => Ok(()),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Text(out) | Self::Json(out) => out.flush(),
            Self::Summary(_) => Ok(()),
        }
    }

    /// The log has ended.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Text(out) | Self::Json(out) => out.flush(),
            Self::Summary(summary) => print(summary),
        }
    }
}

fn json(finding: Option<Finding>, line: &[u8]) -> serde_json::Value {
    let line = String::from_utf8_lossy(line);
    match finding {
        Some(Finding { class, error }) => serde_json::json!({
            "class": class.to_string(),
            "error": error.map(|error| error.name()),
            "code": error.map(|error| error.code()),
            "is_connection": class.is_connection(),
            "is_transient": class.is_transient(),
            "advice": class.advice(),
            "line": line,
        }),
        None => serde_json::json!({ "class": null, "line": line }),
    }
}

fn print(summary: &Mutex<Summary>) -> io::Result<()> {
    let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::stdout().lock();
    write!(out, "{summary}")?;
    out.flush()
}

/// A followed log has no end but Ctrl-C.
fn print_on_ctrl_c(summary: Arc<Mutex<Summary>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let printed = print(&summary).is_ok();
            process::exit(i32::from(!printed));
        }
    });
    Ok(())
}
