//! The account of what a connection sends.
//!
//! The body of a response tells how much was read for it, the stream how much the kernel accepted.
//! The two meet here. Accepted bytes are counted for the connection as a whole, with the HTTP head of
//! each response among them. So
//! * one download is accounted for at a time: the next one waits for its [`Turn`], which costs
//!   nothing, as HTTP/1.1 sends one response after the other anyway;
//! * the length of the head is what was accepted beyond what was read for the body, at the first
//!   moment when nothing was left in between ([`Ledger::take_stock`]).

use crate::board::Board;
use crate::ended::{AfterHangUp, Ended};
use crate::exchange::Exchange;
use crate::report::Report;
use crate::span::Span;
use hangup::{Closed, Monitor};
use indicatif::ProgressBar;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Wake;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Ledger {
    pub(crate) client: SocketAddr,
    pub(crate) monitor: Monitor,
    pub(crate) since: Instant,
    report: Report,
    board: Option<Arc<Board>>,
    turns: Arc<Semaphore>,
    page: Mutex<Page>,
    hung_up: OnceLock<Instant>,
}

#[derive(Default)]
struct Page {
    download: Option<Download>,
    /// The download's.
    turn: Option<Turn>,
    /// The stream has been dropped.
    closed: bool,
}

/// The right to send the next response.
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Whom a response is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A client of the file server: it is reported.
    Client,
    /// Whoever looks at the dashboard.
    Onlooker,
}

struct Download {
    exchange: Exchange,
    audience: Audience,
    /// The bytes of the body to send.
    bytes: u64,
    begun: Instant,
    span: Span,
    /// Read for the body when the client hung up.
    read_at_hang_up: Option<u64>,
    /// When the body was dropped: no more is read for it.
    stopped: Option<Instant>,
    /// Why the body could not be read.
    error: Option<String>,
    bar: ProgressBar,
}

/// How a download stands.
pub(crate) struct Progress {
    pub(crate) exchange: Exchange,
    pub(crate) audience: Audience,
    pub(crate) bytes: u64,
    pub(crate) begun: Instant,
    span: Span,
}

impl Progress {
    /// The bytes of the body among the first `bytes` of the connection.
    pub(crate) fn of_body(&self, bytes: u64) -> u64 {
        self.span.of_body(bytes)
    }
}

impl Ledger {
    pub(crate) fn new(
        client: SocketAddr,
        monitor: Monitor,
        report: Report,
        board: Option<Arc<Board>>,
    ) -> Self {
        Self {
            client,
            monitor,
            since: Instant::now(),
            report,
            board,
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

    /// A response with `bytes` in its body begins.
    pub(crate) fn begin(&self, turn: Turn, exchange: Exchange, audience: Audience, bytes: u64) {
        let bar = self
            .report
            .bar(&format!("{} {exchange}", self.client), bytes);
        let mut page = self.page();
        page.turn = Some(turn);
        page.download = Some(Download {
            exchange,
            audience,
            bytes,
            begun: Instant::now(),
            span: Span::default(),
            read_at_hang_up: None,
            stopped: None,
            error: None,
            bar,
        });
        drop(page);
        if let Some(board) = &self.board {
            board.changed();
        }
    }

    /// The response that is being sent.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.page().download.as_ref().map(|download| Progress {
            exchange: download.exchange.clone(),
            audience: download.audience,
            bytes: download.bytes,
            begun: download.begun,
            span: download.span,
        })
    }

    /// The body is asked for its first bytes: the head has been made, and waits to be written.
    pub(crate) fn head_made(&self) {
        if let Some(download) = &mut self.page().download {
            let accepted = self.monitor.accepted();
            download.span.before.get_or_insert(accepted);
        }
    }

    /// `bytes` were read for the body.
    pub(crate) fn read(&self, bytes: usize) {
        if let Some(download) = &mut self.page().download {
            let read = &mut download.span.read;
            // Of a file that has grown, HTTP sends no more than it has promised.
            *read = (*read + bytes as u64).min(download.bytes);
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
        if let Some(download) = &mut self.page().download
            && download.span.read < download.bytes
        {
            download.error = Some("the file has become shorter".to_owned());
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
            let accepted = self.monitor.accepted();
            download.bar.set_position(download.span.of_body(accepted));
        }
    }

    /// The kernel has accepted all that was written, and all that was read for the body was written.
    pub(crate) fn take_stock(&self) {
        let mut page = self.page();
        let Some(download) = &mut page.download else {
            return;
        };
        let span = &mut download.span;
        // Before that, it was the response before that was flushed.
        let Some(before) = span.before else {
            return;
        };
        let accepted = self.monitor.accepted() - before;
        let head = accepted.saturating_sub(span.read);
        span.head.get_or_insert(head);
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

    fn finish(&self, mut page: MutexGuard<'_, Page>) {
        let Some(download) = page.download.take() else {
            return;
        };
        // The next response is reported after this one.
        let _turn = page.turn.take();
        // The report may wait for a slow terminal.
        drop(page);
        download.bar.finish_and_clear();
        if download.audience == Audience::Onlooker {
            return;
        }
        let ended = self.end(download);
        let line = ended.line();
        if let Some(board) = &self.board {
            board.ended(ended);
        }
        self.report.line(&line);
    }

    fn end(&self, download: Download) -> Ended {
        let Download { span, bytes, .. } = download;
        let accepted = span.of_body(self.monitor.accepted());
        let why = match (download.error, self.monitor.close_reason()) {
            _ if accepted == bytes => None,
            (Some(error), _) => Some(error),
            (None, Some(reason)) => Some(reason.to_string()),
            (None, None) => Some("not sent to the end".to_owned()),
        };
        let at = download.stopped.unwrap_or_else(Instant::now);
        let hang_up = self.hung_up.get().map(|hung_up| AfterHangUp {
            late: at.saturating_duration_since(*hung_up),
            read: span.read - download.read_at_hang_up.unwrap_or(span.read),
        });
        Ended {
            client: self.client,
            exchange: download.exchange,
            bytes,
            accepted,
            begun: download.begun,
            at,
            why,
            hang_up,
            span,
            monitor: self.monitor.clone(),
        }
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
        if self.hung_up.set(Instant::now()).is_ok()
            && let Some(download) = &mut self.page().download
        {
            download.read_at_hang_up = Some(download.span.read);
        }
    }
}
