//! How an outbox is shut down, suspended and resumed.

use super::core::Core;
use super::deferred::Deferred;
use super::phase::{OutboxEnd, Phase};
use super::shared::OutboxShared;
use crate::observe::call_foreign;
use crate::outbox::give_up::GiveUpReason;
use crate::outbox::message::Message;
use crate::outbox::shutdown::ShutdownReport;
use crate::outbox::status::Link;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Timeout};

/// How long a shutdown waits for the store to close, after the time for the delivery.
const STORE_CLOSES: Duration = Duration::from_secs(1);

impl<T: Message> OutboxShared<T> {
    /// A sender or a sink is made.
    pub(crate) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    /// A sender or a sink is dropped. After the last one the outbox drains for the linger time, and then ends.
    pub(crate) fn drop_handle(&self) {
        let mut deferred = Deferred::new();
        {
            let mut core = self.lock();
            core.handles -= 1;
            if core.handles == 0 {
                match &core.phase {
                    Phase::Over(_) => core.clear(&mut deferred),
                    Phase::Suspended(why) => {
                        let end = OutboxEnd::GaveUp(why.clone());
                        core.end(end, &mut deferred);
                    }
                    Phase::Open | Phase::Draining(_) => {
                        drain(&mut core, self.linger, &mut deferred);
                    }
                }
            }
        }
        deferred.run();
    }

    /// Ends the outbox, and publishes that.
    pub(crate) fn end(&self, end: OutboxEnd) {
        let mut deferred = Deferred::new();
        self.lock().end(end, &mut deferred);
        self.publish();
        deferred.run();
    }

    /// Suspends the outbox after it gave up, and publishes that.
    pub(crate) fn suspend(&self, why: GiveUpReason) {
        let mut deferred = Deferred::new();
        self.lock().suspend(why.clone(), &mut deferred);
        call_foreign(|| self.report.link(&Link::GaveUp(why)));
        self.publish();
        deferred.run();
    }

    /// `Outbox::reconnect_now`.
    pub(crate) fn reconnect_now(&self) {
        {
            let mut core = self.lock();
            if !matches!(core.phase, Phase::Open | Phase::Draining(_)) {
                return;
            }
            core.reconnect = true;
        }
        self.wake_task();
    }

    /// `Outbox::resume`.
    pub(crate) fn resume(&self) -> bool {
        {
            let mut core = self.lock();
            if !matches!(core.phase, Phase::Suspended(_)) {
                return false;
            }
            core.phase = Phase::Open;
            core.reconnect = true;
            // Now, and not when the task runs: it has not given up any more.
            core.link = Link::Connecting { attempt: 0 };
        }
        self.publish();
        self.wake_task();
        true
    }

    /// `Outbox::shutdown`. Waits for the task until the deadline, ends the outbox itself if the task has not, and then
    /// waits for the store to close.
    pub(crate) async fn shutdown(&self, within: Duration) -> ShutdownReport<T> {
        let began = Instant::now();
        let (deadline, store) = {
            let mut deferred = Deferred::new();
            let mut core = self.lock();
            drain(&mut core, within, &mut deferred);
            let deadline = match core.phase {
                Phase::Draining(deadline) => deadline,
                Phase::Open | Phase::Suspended(_) | Phase::Over(_) => began,
            };
            let store = core.ended.clone();
            drop(core);
            deferred.run();
            (deadline, store)
        };
        if self.timeout_at(deadline, self.over()).await.is_err() {
            // The task is blocked in the user's code, or nobody polls it.
            self.end(OutboxEnd::ShutDown);
        }
        let store_closed = match store {
            None => true,
            Some(mut ended) => {
                let closes = deadline + STORE_CLOSES;
                let closed = self.timeout_at(closes, ended.changed()).await;
                matches!(closed, Ok(Err(_)))
            }
        };
        let core = self.lock();
        let on_disk = core.backlog.held().count;
        let held = core.buffer.iter();
        let undelivered = held.map(|(_, message)| message.clone()).collect();
        drop(core);
        ShutdownReport {
            undelivered,
            on_disk,
            store_closed,
        }
    }

    /// Waits for the end of the outbox.
    async fn over(&self) {
        poll_fn(|cx| {
            let mut core = self.lock();
            if matches!(core.phase, Phase::Over(_)) {
                return Poll::Ready(());
            }
            if !core.ends.iter().any(|waker| waker.will_wake(cx.waker())) {
                core.ends.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// tokio's `timeout_at`. On a thread without a runtime it uses the timer of the outbox's runtime.
    fn timeout_at<F: Future>(&self, at: Instant, future: F) -> Timeout<F> {
        let _entered = Handle::try_current().is_err().then(|| self.runtime.enter());
        tokio::time::timeout_at(at, future)
    }
}

/// Stops accepting messages, and sets the deadline for the delivery of the rest. An earlier deadline stays.
fn drain<T: Message>(core: &mut Core<T>, within: Duration, deferred: &mut Deferred<T>) {
    let far = Duration::from_secs(86_400 * 365 * 30);
    let deadline = Instant::now() + within.min(far);
    core.phase = match &core.phase {
        Phase::Open => Phase::Draining(deadline),
        Phase::Draining(earlier) => Phase::Draining(deadline.min(*earlier)),
        Phase::Suspended(why) => {
            let end = OutboxEnd::GaveUp(why.clone());
            return core.end(end, deferred);
        }
        Phase::Over(_) => return,
    };
    deferred.wakers().extend(core.task.waker.take());
    core.waiters.wake_all(deferred.wakers());
    core.store_waiters.wake_all(deferred.wakers());
}
