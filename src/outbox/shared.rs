//! What the handles, the receipts and the task share.

use super::buffer::{Buffer, Fate, Fit, Settled, Terms};
use super::builder::Durable;
use super::keeper::{Keeper, Keeping, Kept};
use super::{
    Builder, Confirm, Delivered, GaveUp, Importance, Link, Message, OutboxStatus, Processed,
    Reason, Receipt, Refusal, SendError, Shutdown, Undelivered,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{self, oneshot, watch};
use tokio::task::coop;
use tokio::time::Instant;

/// The task holds the lock for so many messages, or about so many bytes of them, and lets senders in between:
/// whoever finds it taken for longer than a moment goes to sleep, which costs more than all the rest.
const HOLD: u64 = 64;
const HOLD_BYTES: usize = 8 * 1024;

pub(super) type NameOf<T> = Box<dyn Fn(&T) -> u64 + Send + Sync>;

#[repr(align(64))]
pub(super) struct Shared<T> {
    core: Mutex<Core<T>>,
    /// Of those who wait for room only the holder asks for it: so they come in the order in which they
    /// came.
    turnstile: sync::Mutex<()>,
    /// What the peer calls a message.
    name: Option<NameOf<T>>,
    status: watch::Sender<OutboxStatus>,
    started: Instant,
    linger: Duration,
    /// How many sends there were.
    sent: AtomicUsize,
    /// The bytes of a message, if the outbox is durable.
    to_bytes: Option<fn(&T) -> Bytes>,
}

pub(super) struct Core<T> {
    pub(super) buffer: Buffer<T>,
    pub(super) phase: Phase,
    pub(super) link: Link,
    /// When the link's attempt is due, if it retries.
    pub(super) due: Option<Instant>,
    /// Messages that failed, for receipts that are held.
    failed: HashMap<u64, (T, Reason)>,
    /// Of receipts that were polled.
    wakers: HashMap<u64, Waker>,
    pub(super) task: TaskWaker,
    /// The last time that was looked at. It does while the task runs: that is never long.
    now: u64,
    /// Of the holder of the turnstile,
    room: Option<Waker>,
    /// and how many wait for room.
    waiting: usize,
    handles: usize,
    /// Of a durable outbox, until it is over.
    keeper: Option<Keeper<T>>,
    /// How many messages it has been given and is not done with,
    keeping: usize,
    /// and above all that it is done with. What it is not done with is not written.
    kept: u64,
    delivered: u64,
    pub(super) resent: u64,
    dropped: u64,
    /// Something changed since the counts were last told.
    pub(super) changed: bool,
}

/// When the task wants to be woken.
#[derive(Default)]
pub(super) struct TaskWaker {
    /// `None` while the task runs, or is about to.
    pub(super) waker: Option<Waker>,
    /// By any message,
    pub(super) hungry: bool,
    /// or by one that expires before this.
    pub(super) armed: u64,
}

/// How far the outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Takes nothing new, and delivers until then.
    Draining(Instant),
    Over(End),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    ShutDown,
    GaveUp(GaveUp),
    TaskGone,
}

impl End {
    fn reason(&self) -> Reason {
        match self {
            Self::ShutDown => Reason::ShutDown,
            Self::GaveUp(why) => Reason::GaveUp(why.clone()),
            Self::TaskGone => Reason::TaskGone,
        }
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::ShutDown => Refusal::ShutDown,
            Self::GaveUp(why) => Refusal::GaveUp(why.clone()),
            Self::TaskGone => Refusal::TaskGone,
        }
    }
}

/// What is to be done when the lock is released: user code is dropped and tasks are woken without it.
pub(super) struct After<T> {
    messages: Vec<T>,
    wakers: Vec<Waker>,
}

impl<T> After<T> {
    pub(super) fn new() -> Self {
        Self {
            messages: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// To be called without the lock. Its room is kept for the next time, if that is little.
    pub(super) fn run(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        self.messages.clear();
        self.messages.shrink_to(1024);
    }
}

impl<T: Message> Core<T> {
    /// Runs `change`, which settles messages of the buffer, and sees to their receipts.
    pub(super) fn settle(
        &mut self,
        after: &mut After<T>,
        refused: Option<&Arc<str>>,
        change: impl FnOnce(&mut Buffer<T>, &mut dyn FnMut(Settled<T>)),
    ) {
        let Self {
            buffer,
            failed,
            wakers,
            delivered,
            dropped,
            changed,
            keeper,
            ..
        } = self;
        let mut any = false;
        let mut forgotten = Vec::new();
        change(buffer, &mut |settled: Settled<T>| {
            any = true;
            let reason = match settled.fate {
                Fate::Confirmed => {
                    *delivered += 1;
                    None
                }
                Fate::Expired => Some(Reason::Expired),
                Fate::Unconfirmed => Some(Reason::Unconfirmed),
                Fate::Refused => Some(Reason::Refused(refused.cloned().unwrap_or_default())),
            };
            *dropped += u64::from(reason.is_some());
            if keeper.is_some() {
                forgotten.push(settled.number);
            }
            if settled.receipt && !wakers.is_empty() {
                after.wakers.extend(wakers.remove(&settled.number));
            }
            match reason {
                Some(reason) if settled.receipt => {
                    failed.insert(settled.number, (settled.message, reason));
                }
                _ => after.messages.push(settled.message),
            }
        });
        if let Some(keeper) = keeper.as_ref().filter(|_| any) {
            keeper.forget(forgotten);
        }
        if any {
            *changed = true;
            after.wakers.extend(self.room.take());
        }
    }

    /// The usual case of [`settle`](Self::settle), without a store, and the one that must be quick.
    /// At most so many at a time; whether there may be more.
    fn confirm_below(&mut self, number: u64, most: u64, after: &mut After<T>) -> bool {
        let before = self.buffer.len();
        let first = self.buffer.first().unwrap_or(number);
        let limit = number.min(first.saturating_add(most));
        let (messages, woken) = (&mut after.messages, &mut after.wakers);
        let wakers = &mut self.wakers;
        self.buffer
            .confirm_below(limit, &mut |settled: Settled<T>| {
                if settled.receipt && !wakers.is_empty() {
                    woken.extend(wakers.remove(&settled.number));
                }
                messages.push(settled.message);
            });
        let confirmed = before - self.buffer.len();
        if confirmed > 0 {
            self.delivered += confirmed as u64;
            self.changed = true;
            woken.extend(self.room.take());
        }
        confirmed > 0 && limit < number
    }

    /// Below this number all may be written.
    fn limit(&self) -> u64 {
        if self.keeping == 0 {
            u64::MAX
        } else {
            self.kept
        }
    }

    /// Whether there is anything to be written.
    pub(super) fn has_more(&self) -> bool {
        self.buffer.has_more() && (self.keeping == 0 || self.buffer.has_below(self.kept))
    }

    /// The outbox is over. First end wins.
    pub(super) fn end(&mut self, end: End, after: &mut After<T>) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.link = match &end {
            End::GaveUp(why) => Link::GaveUp(why.clone()),
            End::ShutDown | End::TaskGone => Link::Closed,
        };
        self.phase = Phase::Over(end);
        after
            .wakers
            .extend(self.wakers.drain().map(|(_, waker)| waker));
        after.wakers.extend(self.room.take());
        after.wakers.extend(self.task.waker.take());
        if self.handles == 0 {
            self.clear(after);
        }
    }

    /// Lets go of what is left, in order; receipts that are held get a clone each.
    fn clear(&mut self, after: &mut After<T>) -> Vec<T> {
        let reason = match &self.phase {
            Phase::Over(end) => end.reason(),
            Phase::Open | Phase::Draining(_) => return Vec::new(),
        };
        // What is left stays in the store.
        self.keeper = None;
        let mut left = Vec::with_capacity(self.buffer.len());
        let (failed, wakers) = (&mut self.failed, &mut self.wakers);
        self.buffer.clear(|number, message, receipt| {
            if receipt {
                after.wakers.extend(wakers.remove(&number));
                failed.insert(number, (message.clone(), reason.clone()));
            }
            left.push(message);
        });
        left
    }

    fn counts(&self, now: Instant, started: Instant) -> OutboxStatus {
        let age = |since| (now - started).saturating_sub(Duration::from_nanos(since));
        let mut link = self.link.clone();
        if let (Link::Retrying { next_in, .. }, Some(due)) = (&mut link, self.due) {
            *next_in = due.saturating_duration_since(now);
        }
        OutboxStatus {
            link,
            queued: self.buffer.len(),
            unconfirmed: self.buffer.written(),
            bytes: self.buffer.bytes(),
            oldest: self.buffer.oldest().map(age),
            delivered: self.delivered,
            resent: self.resent,
            dropped: self.dropped,
        }
    }
}

impl<T: Message> Shared<T> {
    pub(super) fn new(builder: &mut Builder<T>) -> io::Result<Arc<Self>> {
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

    pub(super) fn is_durable(&self) -> bool {
        self.to_bytes.is_some()
    }

    /// The store has kept `count` messages, of which this is the last one.
    pub(super) fn kept(&self, count: usize, last: u64) {
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
    pub(super) fn not_kept(
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        // A clone of a message may panic under it; nothing is half-made then.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffer's clock: nanoseconds since the outbox was made.
    pub(super) fn nanos(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The time that the buffer's clock shows so.
    pub(super) fn time(&self, nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(nanos))
    }

    pub(super) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    pub(super) fn drop_handle(&self) {
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

    fn terms(&self, message: &T, receipt: bool) -> Option<Terms> {
        Some(Terms {
            size: u32::try_from(message.size()).ok()?,
            id: self.name.as_ref().map_or(0, |name| name(message)),
            since: 0,
            expires: None,
            receipt,
        })
    }

    /// Puts the message in, if there is room and nobody else waits for it (or `in_turn`).
    #[inline]
    fn push(
        &self,
        core: &mut Core<T>,
        message: T,
        mut terms: Terms,
        importance: Importance,
        in_turn: bool,
        keeping: &mut Option<Keeping<T>>,
    ) -> Result<(u64, Option<Waker>), SendError<T>> {
        let refusal = match &core.phase {
            Phase::Open => match core.buffer.fit(terms.size as usize) {
                Fit::Now if in_turn || core.waiting == 0 => None,
                Fit::Now | Fit::Later => Some(Refusal::Full),
                Fit::Never => Some(Refusal::TooLarge),
            },
            Phase::Draining(_) => Some(Refusal::ShutDown),
            Phase::Over(end) => Some(end.refusal()),
        };
        if let Some(refusal) = refusal {
            return Err(SendError { message, refusal });
        }
        let asleep = core.task.waker.is_some();
        if asleep || importance != Importance::Important {
            core.now = self.nanos(Instant::now());
        }
        terms.since = core.now;
        if let Importance::BestEffort { ttl } = importance {
            let ttl = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
            terms.expires = Some(core.now.saturating_add(ttl));
        }
        let number = core.buffer.push(message, terms);
        core.changed = true;
        if let Some(keeping) = keeping.take() {
            if let Some(keeper) = &core.keeper {
                keeper.keep(number, keeping);
                core.keeping += 1;
            }
            return Ok((number, None));
        }
        let earlier = terms
            .expires
            .is_some_and(|expires| expires < core.task.armed);
        let wake = asleep && (core.task.hungry || earlier);
        let waker = if wake { core.task.waker.take() } else { None };
        Ok((number, waker))
    }

    /// What goes to the store with this message, and where its answer comes.
    fn keeping(&self, message: &T, importance: Importance) -> Option<(Keeping<T>, KeptSoon<T>)> {
        let to_bytes = self.to_bytes?;
        (importance == Importance::Important).then(|| Keeping::new(to_bytes(message)))
    }

    pub(super) fn try_send(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, SendError<T>> {
        if self.is_durable() && importance == Importance::Important {
            let refusal = Refusal::MustWait;
            return Err(SendError { message, refusal });
        }
        self.offer(message, importance, receipt, &mut None)
    }

    fn offer(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
        keeping: &mut Option<Keeping<T>>,
    ) -> Result<u64, SendError<T>> {
        let Some(terms) = self.terms(&message, receipt) else {
            return Err(SendError {
                message,
                refusal: Refusal::TooLarge,
            });
        };
        let pushed = self.push(&mut self.lock(), message, terms, importance, false, keeping);
        let (number, waker) = pushed?;
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(number)
    }

    pub(super) async fn send(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, SendError<T>> {
        // Whoever sends without end lets others run now and then, the outbox's task for one. A message
        // costs a tenth of what else takes a unit of the budget.
        let sent = self.sent.load(Relaxed);
        // Two senders at once may count as one.
        self.sent.store(sent.wrapping_add(1), Relaxed);
        if sent % 8 == 0 {
            coop::consume_budget().await;
        }
        if self.is_durable() {
            return Box::pin(self.send_kept(message, importance, receipt)).await;
        }
        match self.offer(message, importance, receipt, &mut None) {
            Err(SendError {
                message,
                refusal: Refusal::Full,
            }) => Box::pin(self.enter(message, importance, receipt, &mut None)).await,
            taken => taken,
        }
    }

    /// Sends, and waits until the store has kept it if it is important.
    async fn send_kept(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
    ) -> Result<u64, SendError<T>> {
        let Some((keeping, kept)) = self.keeping(&message, importance) else {
            return self.enter(message, importance, receipt, &mut None).await;
        };
        let number = self
            .enter(message, importance, receipt, &mut Some(keeping))
            .await?;
        match kept.await {
            Ok(kept) => kept.map(|()| number),
            // The store has panicked. It is done with nothing any more.
            Err(_) => match self.not_kept(std::iter::once(number), number).pop() {
                Some(Some(message)) => {
                    let refusal = Refusal::TaskGone;
                    Err(SendError { message, refusal })
                }
                _ => Ok(number),
            },
        }
    }

    /// Puts the message in, when there is room.
    async fn enter(
        self: &Arc<Self>,
        message: T,
        importance: Importance,
        receipt: bool,
        keeping: &mut Option<Keeping<T>>,
    ) -> Result<u64, SendError<T>> {
        let message = match self.offer(message, importance, receipt, keeping) {
            Err(SendError {
                message,
                refusal: Refusal::Full,
            }) => message,
            taken => return taken,
        };
        let _waiting = Waiting::new(self);
        let _turn = self.turnstile.lock().await;
        let Some(terms) = self.terms(&message, receipt) else {
            return Err(SendError {
                message,
                refusal: Refusal::TooLarge,
            });
        };
        let mut message = Some(message);
        poll_fn(|cx| {
            let Some(next) = message.take() else {
                return Poll::Pending;
            };
            let pushed = {
                let mut core = self.lock();
                match self.push(&mut core, next, terms, importance, true, keeping) {
                    Err(SendError {
                        message: full,
                        refusal: Refusal::Full,
                    }) => {
                        message = Some(full);
                        core.room = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    pushed => pushed,
                }
            };
            Poll::Ready(pushed.map(|(number, waker)| {
                if let Some(waker) = waker {
                    waker.wake();
                }
                number
            }))
        })
        .await
    }

    pub(super) fn receipt(self: &Arc<Self>, number: u64) -> Receipt<T> {
        Receipt::new(self.clone(), number)
    }

    pub(super) fn poll_receipt(
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

    pub(super) fn forget_receipt(&self, number: u64) {
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

    /// What the peer's replies say, and what is acknowledged.
    pub(super) fn confirm(
        &self,
        acknowledged: Option<u64>,
        replies: &[Processed],
        after: &mut After<T>,
    ) {
        let durable = self.is_durable();
        if let Some(number) = acknowledged.filter(|_| !durable) {
            while self.lock().confirm_below(number, HOLD, after) {
                after.run();
            }
            return after.run();
        }
        let mut core = self.lock();
        core.settle(after, None, |buffer, mut settle| {
            if let Some(number) = acknowledged {
                buffer.confirm_below(number, &mut settle);
            }
            for reply in replies {
                match *reply {
                    Processed::One(id) => buffer.confirm_id(id, &mut settle),
                    Processed::UpTo(id) => buffer.confirm_up_to(id, &mut settle),
                    Processed::Oldest(count) => buffer.confirm_oldest(count, &mut settle),
                }
            }
        });
        drop(core);
        after.run();
    }

    /// Takes what is to be written next. Whether there is any.
    pub(super) fn take(
        &self,
        bytes: usize,
        batch: &mut Vec<(u64, T)>,
        after: &mut After<T>,
    ) -> bool {
        let now = self.nanos(Instant::now());
        let mut taken = 0;
        while taken < bytes {
            let before = batch.len();
            let mut core = self.lock();
            if !core.has_more() {
                break;
            }
            core.now = now;
            core.task.waker = None;
            let mut again = 0;
            let limit = core.limit();
            core.settle(after, None, |buffer, mut settle| {
                again = buffer.take(HOLD_BYTES, limit, now, batch, &mut settle);
            });
            core.resent += again;
            core.changed = true;
            drop(core);
            after.run();
            let sizes = batch[before..].iter().map(|(_, message)| message.size());
            taken += sizes.sum::<usize>().max(1);
        }
        !batch.is_empty()
    }

    /// The encoder refused a message.
    pub(super) fn refuse(&self, number: u64, why: &Arc<str>, after: &mut After<T>) {
        let mut core = self.lock();
        core.settle(after, Some(why), |buffer, mut settle| {
            buffer.refuse(number, &mut settle);
        });
        drop(core);
        after.run();
    }

    /// The connection is lost.
    pub(super) fn rewind(&self, after: &mut After<T>) {
        let mut core = self.lock();
        core.settle(after, None, |buffer, mut settle| buffer.rewind(&mut settle));
        drop(core);
        after.run();
    }

    pub(super) fn delivered(&self) -> u64 {
        self.lock().delivered
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<OutboxStatus> {
        let receiver = self.status.subscribe();
        self.tell();
        // The task tells nobody while nobody looks.
        let task = self.lock().task.waker.take();
        if let Some(task) = task {
            task.wake();
        }
        receiver
    }

    pub(super) fn snapshot(&self) -> OutboxStatus {
        self.lock().counts(Instant::now(), self.started)
    }

    /// Whether anybody looks at the watch channel.
    pub(super) fn is_watched(&self) -> bool {
        self.status.receiver_count() > 0
    }

    /// Tells how the outbox stands now.
    pub(super) fn tell(&self) {
        // Under the lock, so that an older status never comes after a newer one.
        let mut core = self.lock();
        core.changed = false;
        self.status
            .send_replace(core.counts(Instant::now(), self.started));
    }

    pub(super) fn set_link(&self, link: Link, due: Option<Instant>) {
        let mut core = self.lock();
        if !matches!(core.phase, Phase::Over(_)) {
            core.link = link;
            core.due = due;
        }
        drop(core);
        self.tell();
    }

    pub(super) fn end(&self, end: End) {
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

    pub(super) async fn shutdown(&self, within: Duration) -> Shutdown<T> {
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

type KeptSoon<T> = oneshot::Receiver<Kept<T>>;

/// One that waits for room.
struct Waiting<'a, T: Message>(&'a Shared<T>);

impl<'a, T: Message> Waiting<'a, T> {
    fn new(shared: &'a Shared<T>) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl<T: Message> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
