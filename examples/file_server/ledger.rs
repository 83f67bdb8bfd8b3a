//! The account of what a connection sends.
//!
//! The body of a response tells how much was read for it, the stream how much the kernel accepted.
//! The two meet here. Accepted bytes are counted for the connection as a whole, with the HTTP head of
//! each response among them. So
//! * one download is accounted for at a time: the next one waits for its [`Turn`], which costs
//!   nothing, as HTTP/1.1 sends one response after the other anyway;
//! * the length of the head is what was accepted beyond what was read for the body, at the first
//!   moment when nothing was left in between ([`Ledger::take_stock`]).

use crate::report::Report;
use hangup::{Closed, Monitor};
use indicatif::{HumanCount, ProgressBar};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Ledger {
    client: SocketAddr,
    monitor: Monitor,
    report: Report,
    turns: Arc<Semaphore>,
    page: Mutex<Page>,
    hung_up: OnceLock<Instant>,
}

#[derive(Default)]
struct Page {
    download: Option<Download>,
    /// The stream has been dropped.
    closed: bool,
}

/// The right to send the next response.
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

struct Download {
    what: String,
    /// The bytes of the body to send.
    bytes: u64,
    /// Read for the body so far, and when the client hung up.
    read: u64,
    read_at_hang_up: Option<u64>,
    /// The connection's accepted bytes before this response; known when the body is first polled.
    before: Option<u64>,
    /// The bytes of the HTTP head, once they are known.
    head: Option<u64>,
    /// When the body was dropped: no more is read for it.
    stopped: Option<Instant>,
    /// Why the body could not be read.
    error: Option<String>,
    bar: ProgressBar,
    _turn: Turn,
}

impl Ledger {
    pub(crate) fn new(client: SocketAddr, monitor: Monitor, report: Report) -> Self {
        Self {
            client,
            monitor,
            report,
            turns: Arc::new(Semaphore::new(1)),
            page: Mutex::default(),
            hung_up: OnceLock::new(),
        }
    }

    pub(crate) fn closed(&self) -> Closed {
        self.monitor.closed()
    }

    /// Waits until the response before is accounted for.
    pub(crate) async fn turn(&self) -> Turn {
        Turn {
            // The semaphore is never closed.
            _permit: self.turns.clone().acquire_owned().await.ok(),
        }
    }

    /// A response begins: `what` was asked for, and `bytes` are in its body.
    pub(crate) fn begin(&self, turn: Turn, what: String, bytes: u64) {
        let bar = self.report.bar(&format!("{} {what}", self.client), bytes);
        self.page().download = Some(Download {
            what,
            bytes,
            read: 0,
            read_at_hang_up: None,
            before: None,
            head: None,
            stopped: None,
            error: None,
            bar,
            _turn: turn,
        });
    }

    /// The body is asked for its first bytes: the head has been made, and waits to be written.
    pub(crate) fn head_made(&self) {
        if let Some(download) = &mut self.page().download {
            let accepted = self.monitor.transfer().accepted;
            download.before.get_or_insert(accepted);
        }
    }

    /// `bytes` were read for the body.
    pub(crate) fn read(&self, bytes: usize) {
        if let Some(download) = &mut self.page().download {
            // Of a file that has grown, HTTP sends no more than it has promised.
            download.read = (download.read + bytes as u64).min(download.bytes);
        }
    }

    /// The body could not be read.
    pub(crate) fn failed(&self, error: &impl ToString) {
        if let Some(download) = &mut self.page().download {
            download.error = Some(error.to_string());
        }
    }

    /// The end of the body was read.
    pub(crate) fn ended(&self) {
        if let Some(download) = &mut self.page().download {
            if download.read < download.bytes {
                download.error = Some("the file has become shorter".to_owned());
            }
        }
    }

    /// The body was dropped: complete or not, no more is read.
    pub(crate) fn stop(&self) {
        self.head_made();
        let mut page = self.page();
        if let Some(download) = &mut page.download {
            download.stopped.get_or_insert(Instant::now());
        }
        if page.closed {
            self.finish(page);
        }
    }

    /// The kernel accepted some bytes.
    pub(crate) fn advance(&self) {
        if let Some(download) = &self.page().download {
            download.bar.set_position(self.accepted(download));
        }
    }

    /// The kernel has accepted all that was written, and all that was read for the body was written.
    pub(crate) fn take_stock(&self) {
        let mut page = self.page();
        let Some(download) = &mut page.download else {
            return;
        };
        // Before that, it was the response before that was flushed.
        let Some(before) = download.before else {
            return;
        };
        let accepted = self.monitor.transfer().accepted - before;
        let head = accepted.saturating_sub(download.read);
        download.head.get_or_insert(head);
        if download.stopped.is_some() {
            self.finish(page);
        }
    }

    /// The stream was dropped.
    pub(crate) fn close(&self) {
        let mut page = self.page();
        page.closed = true;
        // Otherwise the body is still there, and its drop does it.
        if matches!(&page.download, Some(download) if download.stopped.is_some()) {
            self.finish(page);
        }
    }

    /// The bytes of the body that the kernel accepted.
    fn accepted(&self, download: &Download) -> u64 {
        Self::of_body(download, self.monitor.transfer().accepted)
    }

    /// The bytes of the body among the first `bytes` of the connection.
    fn of_body(download: &Download, bytes: u64) -> u64 {
        let before = download.before.unwrap_or(u64::MAX);
        bytes
            .saturating_sub(before)
            .saturating_sub(download.head.unwrap_or(0))
            .min(download.read)
    }

    fn finish(&self, mut page: MutexGuard<'_, Page>) {
        let Some(download) = page.download.take() else {
            return;
        };
        // The report may wait for a slow terminal.
        drop(page);
        download.bar.finish_and_clear();
        self.report.line(&self.line(&download));
    }

    fn line(&self, download: &Download) -> String {
        let accepted = self.accepted(download);
        let mut line = format!(
            "{} {}: {} of {} bytes accepted, ",
            self.client,
            download.what,
            HumanCount(accepted),
            HumanCount(download.bytes)
        );
        if accepted == download.bytes {
            line += "complete";
            return line;
        }
        match (&download.error, self.monitor.close_reason()) {
            (Some(error), _) => line += error,
            (None, Some(reason)) => line += &reason.to_string(),
            (None, None) => line += "not sent to the end",
        }
        if let Some(acknowledged) = self.monitor.transfer().acknowledged {
            let acknowledged = Self::of_body(download, acknowledged);
            line += &format!(", {} bytes acknowledged", HumanCount(acknowledged));
        }
        if let (Some(hung_up), Some(stopped)) = (self.hung_up.get(), download.stopped) {
            let late = stopped.saturating_duration_since(*hung_up);
            let read_at_hang_up = download.read_at_hang_up.unwrap_or(download.read);
            line += &format!(
                "; reading stopped {:.2} ms after the hang-up, {} bytes read after it, {} in all",
                late.as_secs_f64() * 1e3,
                HumanCount(download.read - read_at_hang_up),
                HumanCount(download.read)
            );
        }
        line
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream is over. If that is the peer's doing, this is the moment of the hang-up.
impl Wake for Ledger {
    fn wake(self: Arc<Self>) {
        if self
            .monitor
            .close_reason()
            .is_some_and(|reason| reason.is_local())
        {
            return;
        }
        if self.hung_up.set(Instant::now()).is_ok() {
            if let Some(download) = &mut self.page().download {
                download.read_at_hang_up = Some(download.read);
            }
        }
    }
}
