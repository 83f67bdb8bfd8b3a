//! Windows: a poll of the socket driver for each socket.
//!
//! The ancillary function driver, `\Device\Afd`, is what winsock itself runs on, and what mio and wepoll poll. Each
//! socket has one pending poll for `DISCONNECT` (the peer's FIN) and `ABORT` (a reset or a time-out), not for
//! data. The driver reports levels, so after a FIN the socket is polled for `ABORT` alone.
//!
//! Each runtime has its own handle of the driver, its own completion port, and a thread that waits for the port,
//! because tokio does not share its own port. They end with the runtime and leave no state behind. The price is one
//! thread for each runtime that watches something.
//!
//! The tests run this file under Wine. It has not been run on Windows. Under Wine a FIN behind unread data is not
//! reported before the data is read. Windows is documented to report `AFD_POLL_DISCONNECT` when the FIN arrives.

mod driver;
#[cfg(test)]
mod tests;

use super::contract::{BATCH, Raw, explain};
use crate::state::sync::lock;
use driver::{ABORT, Completion, DISCONNECT, Driver, LOCAL_CLOSE, Operation};
use rustix::fd::{AsRawFd, BorrowedFd};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::Notify;

/// The polls of a runtime's sockets, and the thread that waits for them.
#[derive(Debug)]
pub(in crate::watcher) struct Notifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    driver: Driver,
    polls: Mutex<Polls>,
    /// Something was added to `happened`, or the thread has ended.
    news: Notify,
}

#[derive(Debug, Default)]
struct Polls {
    /// The sockets that are watched, by their tokens.
    watched: HashMap<u64, Watched>,
    /// The operations whose completion has not come yet.
    pending: usize,
    /// The tokens of the sockets to which something happened.
    happened: Vec<u64>,
    /// The notifier was dropped.
    over: bool,
    /// The error that ended the thread.
    error: Option<i32>,
}

#[derive(Debug)]
struct Watched {
    raw: Raw,
    /// What it is polled for.
    events: u32,
    /// `None` after the last event.
    operation: Option<Arc<Operation>>,
}

impl Notifier {
    /// Fails where the driver cannot be opened.
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            driver: Driver::open()?,
            polls: Mutex::default(),
            news: Notify::new(),
        });
        let waiting = shared.clone();
        thread::Builder::new()
            .name("hangup-afd".into())
            .spawn(move || waiting.serve())?;
        Ok(Self { shared })
    }

    pub(in crate::watcher) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let raw = fd.as_raw_fd();
        let mut polls = lock(&self.shared.polls);
        let events = DISCONNECT | ABORT;
        let operation = self.shared.driver.poll(raw, events, token);
        let operation = operation.map_err(|error| {
            let what = format!(
                "cannot watch socket {raw}: it is closed, or its provider does not let the system's socket \
                 driver poll it; use `MonitoredStream::with_signal` or `unwatched` for the latter"
            );
            explain(&error, &what)
        })?;
        polls.pending += 1;
        let watched = Watched {
            raw,
            events,
            operation: Some(operation),
        };
        polls.watched.insert(token, watched);
        Ok(())
    }

    pub(in crate::watcher) fn remove(&self, _: Raw, token: u64) {
        let removed = lock(&self.shared.polls).watched.remove(&token);
        if let Some(operation) = removed.and_then(|watched| watched.operation) {
            self.shared.driver.cancel(&operation);
        }
    }

    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        loop {
            {
                let mut polls = lock(&self.shared.polls);
                let batch = polls.happened.len().min(BATCH);
                tokens.extend(polls.happened.drain(..batch));
                if tokens.is_empty()
                    && let Some(code) = polls.error
                {
                    return Err(io::Error::from_raw_os_error(code));
                }
            }
            if !tokens.is_empty() {
                return Ok(());
            }
            self.shared.news.notified().await;
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let mut polls = lock(&self.shared.polls);
        polls.over = true;
        for operation in polls.watched.drain().filter_map(|(_, it)| it.operation) {
            self.shared.driver.cancel(&operation);
        }
        drop(polls);
        self.shared.driver.wake();
    }
}

impl Shared {
    /// The thread: takes completions until the notifier is dropped and the last operation is complete.
    fn serve(&self) {
        let mut completions = Vec::with_capacity(BATCH);
        loop {
            let waited = self.driver.wait(&mut completions);
            let mut polls = lock(&self.polls);
            if let Err(error) = waited {
                polls.error = Some(error.raw_os_error().unwrap_or_default());
                drop(polls);
                self.news.notify_one();
                return;
            }
            for completion in completions.drain(..) {
                polls.pending -= 1;
                self.complete(&mut polls, &completion);
            }
            if polls.over && polls.pending == 0 {
                return;
            }
            let news = !polls.happened.is_empty();
            drop(polls);
            if news {
                self.news.notify_one();
            }
        }
    }

    fn complete(&self, polls: &mut Polls, completion: &Completion) {
        let token = completion.operation.token();
        let Some(watched) = polls.watched.get_mut(&token) else {
            return;
        };
        watched.operation = None;
        watched.events = match completion.events {
            Some(events) if events & (ABORT | LOCAL_CLOSE) != 0 => 0,
            Some(DISCONNECT) => ABORT,
            // The poll ended for another reason, such as the end of the thread that began it.
            None if completion.is_cancelled => watched.events,
            _ => 0,
        };
        if !completion.is_cancelled {
            polls.happened.push(token);
        }
        if watched.events != 0 {
            match self.driver.poll(watched.raw, watched.events, token) {
                Ok(operation) => {
                    watched.operation = Some(operation);
                    polls.pending += 1;
                }
                // The watcher asks the socket why.
                Err(_) => polls.happened.push(token),
            }
        }
    }
}
