//! What the onlookers are told: one task looks for all of them, and only while there are any.

use crate::board::Board;
use crate::dashboard::page::Snapshots;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two looks if nothing is new: bytes are accepted and acknowledged without a word.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two looks if there is always something new.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) struct Feed {
    board: Arc<Board>,
    /// There while the task is.
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

    /// The present snapshot, and those to come. A slow onlooker misses some, and always gets the last.
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
                _ = timeout(PERIOD, self.board.news()) => {}
            }
            {
                // Nobody subscribes between the question and the end.
                let mut slot = self.sender();
                if sender.is_closed() || self.is_over() {
                    *slot = None;
                    return;
                }
            }
            sender.send_replace(snapshots.next(&self.board.view()));
            sleep(BREATH).await;
        }
    }

    /// Ends the streams of the onlookers when the last download has ended: a server that drains would
    /// wait for them for ever.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.board.changed();
    }

    fn is_over(&self) -> bool {
        self.draining.load(Ordering::Relaxed) && !self.board.is_serving()
    }

    fn sender(&self) -> MutexGuard<'_, Option<Arc<watch::Sender<Arc<str>>>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
