//! What the handles, the receipts and the task share.

use super::state::{After, Core, End, Phase, TaskWaker};
use super::store_writer::Keeper;
use crate::outbox::builder::Durable;
use crate::outbox::queue::buffer::{Buffer, Settled};
use crate::outbox::{
    Builder, Confirm, Delivered, Link, Message, OutboxStatus, Receipt, Shutdown, Undelivered,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{self, watch};
use tokio::time::Instant;

pub(crate) type NameOf<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;

#[repr(align(64))]
pub(crate) struct Shared<T> {
    pub(crate) core: Mutex<Core<T>>,
    /// Of those who wait for room only the holder asks for it: so they come in the order in which they
    /// came.
    pub(crate) turnstile: sync::Mutex<()>,
    /// What the peer calls a message.
    pub(crate) name: Option<NameOf<T>>,
    pub(crate) status: watch::Sender<OutboxStatus>,
    pub(crate) started: Instant,
    pub(crate) linger: Duration,
    /// How many sends there were.
    pub(crate) sent: AtomicUsize,
    /// The bytes of a message, if the outbox is durable.
    pub(crate) to_bytes: Option<fn(&T) -> Bytes>,
}

impl<T: Message> Shared<T> {
    pub(crate) fn new(builder: &mut Builder<T>) -> io::Result<Arc<Self>> {
        let name = match &mut builder.confirm {
            Confirm::Acknowledged => None,
            Confirm::ByPeer(by_peer) => by_peer.id.take(),
        };
        let started = Instant::now();
        let core = Core {
            buffer: Buffer::new(builder.bytes, builder.count),
            phase: Phase::Open,
            link: Link::Connecting,
            due: None,
            failed: HashMap::new(),
            wakers: HashMap::new(),
            task: TaskWaker::default(),
            now: 0,
            room: None,
            waiting: 0,
            handles: 0,
            keeper: None,
            keeping: 0,
            kept: 0,
            delivered: 0,
            resent: 0,
            dropped: 0,
            changed: false,
        };
        let durable = builder.durable.take();
        let shared = Arc::new(Self {
            status: watch::Sender::new(core.counts(started, started)),
            core: Mutex::new(core),
            turnstile: sync::Mutex::new(()),
            name,
            started,
            linger: builder.linger,
            sent: AtomicUsize::new(0),
            to_bytes: durable.as_ref().map(|durable| durable.to_bytes),
        });
        if let Some(durable) = durable {
            shared.recover(durable)?;
        }
        Ok(shared)
    }

    /// Puts in what the store has, and starts its thread.
    fn recover(self: &Arc<Self>, mut durable: Durable<T>) -> io::Result<()> {
        let recovered = durable.store.recover()?;
        let next = durable.store.next_number()?;
        let mut core = self.lock();
        for (number, bytes) in recovered {
            let message = (durable.from_bytes)(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let Some(terms) = self.terms(&message, false) else {
                return Err(io::ErrorKind::FileTooLarge.into());
            };
            core.buffer.push_at(number, message, terms);
        }
        core.buffer.skip_to(next);
        core.keeper = Some(Keeper::start(durable.store, Arc::downgrade(self))?);
        drop(core);
        self.tell();
        Ok(())
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.to_bytes.is_some()
    }

    /// The store has kept `count` messages, of which this is the last one.
    pub(crate) fn kept(&self, count: usize, last: u64) {
        let waker = {
            let mut core = self.lock();
            core.keeping = core.keeping.saturating_sub(count);
            core.kept = last + 1;
            let hungry = core.task.hungry;
            core.task.waker.take_if(|_| hungry)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The store has not kept these messages, the last of which is `last`: they are given back, if they are
    /// still held.
    pub(crate) fn not_kept(
        &self,
        numbers: impl ExactSizeIterator<Item = u64>,
        last: u64,
    ) -> Vec<Option<T>> {
        let count = numbers.len();
        let mut messages = Vec::with_capacity(count);
        let wakers = {
            let mut core = self.lock();
            for number in numbers {
                let mut message = None;
                core.buffer.refuse(number, &mut |settled: Settled<T>| {
                    message = Some(settled.message)
                });
                messages.push(message);
            }
            core.changed = true;
            // The task too: the last one that was held may be gone.
            [core.room.take(), core.task.waker.take()]
        };
        self.kept(count, last);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
        messages
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        // A clone of a message may panic under it; nothing is half-made then.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffer's clock: nanoseconds since the outbox was made.
    pub(crate) fn nanos(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The time that the buffer's clock shows so.
    pub(crate) fn time(&self, nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(nanos))
    }

    pub(crate) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    pub(crate) fn drop_handle(&self) {
        let mut after = After::new();
        let mut left = Vec::new();
        {
            let mut core = self.lock();
            core.handles -= 1;
            if core.handles == 0 {
                match core.phase {
                    Phase::Over(_) => left = core.clear(&mut after),
                    Phase::Open | Phase::Draining(_) => {
                        self.drain(&mut core, self.linger, &mut after);
                    }
                }
            }
        }
        after.run();
        drop(left);
    }

    pub(crate) fn receipt(self: &Arc<Self>, number: u64) -> Receipt<T> {
        Receipt::new(self.clone(), number)
    }

    pub(crate) fn poll_receipt(
        &self,
        number: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<Delivered, Undelivered<T>>> {
        let mut core = self.lock();
        if let Some((message, reason)) = core.failed.remove(&number) {
            return Poll::Ready(Err(Undelivered { message, reason }));
        }
        let Some(message) = core.buffer.get(number) else {
            return Poll::Ready(Ok(Delivered {}));
        };
        if let Phase::Over(end) = &core.phase {
            let (message, reason) = (message.clone(), end.reason());
            core.buffer.forget_receipt(number);
            return Poll::Ready(Err(Undelivered { message, reason }));
        }
        core.wakers.insert(number, cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn forget_receipt(&self, number: u64) {
        let mut core = self.lock();
        core.buffer.forget_receipt(number);
        // The usual case, and no hash of the number.
        if core.wakers.is_empty() && core.failed.is_empty() {
            return;
        }
        let waker = core.wakers.remove(&number);
        let failed = core.failed.remove(&number);
        drop(core);
        drop((waker, failed));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        let receiver = self.status.subscribe();
        self.tell();
        // The task tells nobody while nobody looks.
        let task = self.lock().task.waker.take();
        if let Some(task) = task {
            task.wake();
        }
        receiver
    }

    pub(crate) fn snapshot(&self) -> OutboxStatus {
        self.lock().counts(Instant::now(), self.started)
    }

    /// Whether anybody looks at the watch channel.
    pub(crate) fn is_watched(&self) -> bool {
        self.status.receiver_count() > 0
    }

    /// Tells how the outbox stands now.
    pub(crate) fn tell(&self) {
        // Under the lock, so that an older status never comes after a newer one.
        let mut core = self.lock();
        core.changed = false;
        self.status
            .send_replace(core.counts(Instant::now(), self.started));
    }

    pub(crate) fn set_link(&self, link: Link, due: Option<Instant>) {
        let mut core = self.lock();
        if !matches!(core.phase, Phase::Over(_)) {
            core.link = link;
            core.due = due;
        }
        drop(core);
        self.tell();
    }

    pub(crate) fn end(&self, end: End) {
        let mut after = After::new();
        self.lock().end(end, &mut after);
        self.tell();
        after.run();
    }

    fn drain(&self, core: &mut Core<T>, within: Duration, after: &mut After<T>) {
        let far = Duration::from_secs(86_400 * 365 * 30);
        let deadline = Instant::now() + within.min(far);
        core.phase = match &core.phase {
            Phase::Open => Phase::Draining(deadline),
            Phase::Draining(earlier) => Phase::Draining(deadline.min(*earlier)),
            Phase::Over(_) => return,
        };
        after.wakers.extend(core.task.waker.take());
        after.wakers.extend(core.room.take());
    }

    pub(crate) async fn shutdown(&self, within: Duration) -> Shutdown<T> {
        let mut status = self.status.subscribe();
        let deadline = {
            let mut after = After::new();
            let mut core = self.lock();
            self.drain(&mut core, within, &mut after);
            let deadline = match core.phase {
                Phase::Draining(deadline) => deadline,
                Phase::Open | Phase::Over(_) => Instant::now(),
            };
            drop(core);
            after.run();
            deadline
        };
        let over = status.wait_for(|status| matches!(status.link, Link::Closed | Link::GaveUp(_)));
        if tokio::time::timeout_at(deadline, over).await.is_err() {
            // The task is in the user's `connect`, or nobody runs it.
            self.end(End::ShutDown);
        }
        let mut after = After::new();
        let keeper = self.lock().keeper.take();
        if let Some(keeper) = keeper {
            keeper.close().await;
        }
        let undelivered = self.lock().clear(&mut after);
        after.run();
        Shutdown { undelivered }
    }
}
