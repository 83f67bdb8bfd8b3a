//! The content of a response, which is dropped when its client stalls.

use super::progress::Progress;
use crate::observe::call_foreign;
use crate::policy::{Stall, StallPolicy, Step};
use crate::state::Event;
use crate::state::sync::lock;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use tokio::sync::Notify;

/// The content of a response, and a task that drops it when the client takes too little.
///
/// HTTP does not poll a body while the client's window is closed, so the body cannot notice the stall itself. The task
/// sleeps while the response does not wait for its client.
#[derive(Debug)]
pub(super) struct Judged<C> {
    shared: Arc<Shared<C>>,
}

#[derive(Debug)]
struct Shared<C> {
    progress: Progress,
    /// `None` after the client has stalled, and at the end.
    content: Mutex<Option<C>>,
    /// Whether the task sleeps until the next part is handed to HTTP.
    is_idle: AtomicBool,
    wake: Notify,
}

impl<C: Send + 'static> Judged<C> {
    /// `on_stall` is called before the content is dropped.
    pub(super) fn new(
        content: C,
        policy: StallPolicy,
        on_stall: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let stall = Stall::new(policy, false)?;
        let shared = Arc::new(Shared {
            progress: Progress::default(),
            content: Mutex::new(Some(content)),
            is_idle: AtomicBool::new(false),
            wake: Notify::new(),
        });
        // The clock starts now: HTTP asks for nothing before the client has opened its window.
        shared.progress.handed();
        tokio::spawn(judge(shared.clone(), stall, on_stall));
        Ok(Self { shared })
    }
}

impl<C> Judged<C> {
    /// HTTP asks for the next part, so the client has taken the last one, of `amount`.
    pub(super) fn asked(&self, amount: usize) {
        self.shared.progress.asked(amount);
    }

    /// HTTP has got a part.
    pub(super) fn handed(&self) {
        self.shared.progress.handed();
        if self.shared.is_idle.swap(false, AcqRel) {
            self.shared.wake.notify_one();
        }
    }

    /// `None` after the client has stalled.
    pub(super) fn content(&self) -> MutexGuard<'_, Option<C>> {
        lock(&self.shared.content)
    }
}

impl<C> Drop for Judged<C> {
    fn drop(&mut self) {
        let content = self.content().take();
        self.shared.wake.notify_one();
        drop(content);
    }
}

async fn judge<C>(shared: Arc<Shared<C>>, mut stall: Stall, on_stall: impl FnOnce()) {
    let mut woken = pin!(shared.wake.notified());
    let verdict = poll_fn(|cx| {
        loop {
            while woken.as_mut().poll(cx).is_ready() {
                woken.set(shared.wake.notified());
            }
            if lock(&shared.content).is_none() {
                return Poll::Ready(None);
            }
            if shared.progress.waits() {
                let taken = || shared.progress.taken();
                return match stall.pending(Step::Write, cx, taken) {
                    Some(event) => Poll::Ready(Some(event)),
                    None => Poll::Pending,
                };
            }
            stall.done(Step::Write);
            shared.is_idle.swap(true, AcqRel);
            // A part that was handed over before the swap has not woken the task.
            if !shared.progress.waits() {
                return Poll::Pending;
            }
            shared.is_idle.swap(false, AcqRel);
        }
    });
    if verdict.await == Some(Event::Stalled) {
        on_stall();
        let content = lock(&shared.content).take();
        call_foreign(|| drop(content));
    }
}
