//! The event stream: one task makes the snapshots for all viewers. It runs only while there are viewers.

use crate::board::Board;
use crate::page::Snapshots;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The time between two snapshots without an event: acknowledgements cause none.
const PERIOD: Duration = Duration::from_secs(1);
/// The shortest time between two snapshots.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Feed {
    board: Arc<Board>,
    /// Set while the task runs.
    sender: Mutex<Option<Arc<watch::Sender<Arc<str>>>>>,
    draining: AtomicBool,
}

impl Feed {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self {
            board,
            sender: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// The current snapshot and the later ones. A slow viewer may miss some, but never the last.
    pub(crate) fn subscribe(self: &Arc<Self>) -> watch::Receiver<Arc<str>> {
        let mut slot = self.sender();
        if let Some(sender) = &*slot {
            return sender.subscribe();
        }
        let mut snapshots = Snapshots::default();
        let (sender, receiver) = watch::channel(snapshots.next(&self.board.view()));
        let sender = Arc::new(sender);
        *slot = Some(sender.clone());
        tokio::spawn(self.clone().run(sender, snapshots));
        receiver
    }

    async fn run(self: Arc<Self>, sender: Arc<watch::Sender<Arc<str>>>, mut snapshots: Snapshots) {
        loop {
            tokio::select! {
                () = sender.closed() => {}
                _ = timeout(PERIOD, self.board.change()) => {}
            }
            {
                // Under the lock, so that no viewer subscribes between this check and the end of the task.
                let mut slot = self.sender();
                if sender.is_closed() || self.is_over() {
                    *slot = None;
                    return;
                }
            }
            sender.send_replace(snapshots.next(&self.board.view()));
            sleep(PAUSE).await;
        }
    }

    /// Ends the event streams when the last recorded response has ended.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.board.changed();
    }

    fn is_over(&self) -> bool {
        self.draining.load(Ordering::Relaxed) && !self.board.is_responding()
    }

    fn sender(&self) -> MutexGuard<'_, Option<Arc<watch::Sender<Arc<str>>>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
