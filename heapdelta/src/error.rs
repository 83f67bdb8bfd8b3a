//! What a test fails with.

use crate::metric::Metric;
use crate::report::Report;
use std::fmt;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeakErrorKind {
    /// Memory, or a counter, kept growing with the calls.
    Growth,
    /// One call left something open: a descriptor, a thread, a child, a task, or a watched counter that is higher.
    Unclosed,
    /// The time limit came before memory was stable or a leak proved.
    TimeLimit,
    /// The settings allow no measurement. Nothing was called.
    Settings,
    /// The platform tells nothing of memory. Nothing was called.
    Unsupported,
}

/// One thing that leaks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What grew.
    pub metric: Metric,
    /// By how much a call, on average over the last run: bytes, or how many.
    pub per_call: f64,
    /// What was left open, if the system names it: `descriptor 7: socket:[1234]`, `thread 4711: worker`.
    pub details: Vec<String>,
}

/// The operation leaks, or it could not be measured.
///
/// [`Display`](fmt::Display) says what grew and by how much a call, and prints the table of the runs;
/// [`Debug`](fmt::Debug) does the same, so that `unwrap` and a test that returns the error show it.
///
/// # Examples
/// ```
/// use heapdelta::{LeakErrorKind, LeakTest};
/// use std::{fs::File, mem};
///
/// # #[cfg(target_os = "linux")] {
/// let error = LeakTest::new()
///     .run(|| mem::forget(File::open("/dev/null")))
///     .unwrap_err();
/// assert_eq!(error.kind(), LeakErrorKind::Unclosed);
/// assert!(error.to_string().contains("/dev/null"));
/// # }
/// ```
#[derive(Clone)]
pub struct LeakError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: LeakErrorKind,
    message: String,
    findings: Vec<Finding>,
    report: Option<Report>,
}

impl LeakError {
    pub(crate) fn new(kind: LeakErrorKind, message: String) -> Self {
        Self(Box::new(Inner {
            kind,
            message,
            findings: Vec::new(),
            report: None,
        }))
    }

    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(report);
        self
    }

    /// What is left open after one call.
    pub(crate) fn unclosed(findings: Vec<Finding>) -> Self {
        let mut error = Self::new(LeakErrorKind::Unclosed, String::new());
        error.0.findings = findings;
        error
    }

    pub(crate) fn growth(findings: Vec<Finding>, report: Report) -> Self {
        let mut error = Self::new(LeakErrorKind::Growth, String::new()).with_report(report);
        error.0.findings = findings;
        error
    }

    /// Leak, time limit, or misuse.
    #[must_use]
    pub fn kind(&self) -> LeakErrorKind {
        self.0.kind
    }

    /// What leaks; empty unless the kind is [`Growth`](LeakErrorKind::Growth) or
    /// [`Unclosed`](LeakErrorKind::Unclosed).
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The finding for `metric`.
    #[must_use]
    pub fn finding(&self, metric: Metric) -> Option<&Finding> {
        self.0.findings.iter().find(|found| found.metric == metric)
    }

    /// The runs so far; `None` if the test ended before the first.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_ref()
    }
}

impl fmt::Display for LeakError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.message)?;
        for (index, finding) in inner.findings.iter().enumerate() {
            let Finding {
                metric, per_call, ..
            } = finding;
            let newline = if index > 0 { "\n" } else { "" };
            if inner.kind == LeakErrorKind::Unclosed {
                write!(f, "{newline}leak: one call left {metric} {per_call:+.0}")?;
            } else {
                let unit = metric.unit();
                write!(
                    f,
                    "{newline}leak: {metric} grows by {per_call:.1}{unit} a call"
                )?;
            }
            for detail in &finding.details {
                write!(f, "\n  {detail}")?;
            }
        }
        if let Some(report) = &inner.report {
            f.write_str("\n")?;
            report.write_table(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for LeakError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LeakError {}
