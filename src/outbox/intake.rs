//! How messages come in: at once, when there is room, or when they are kept.

use super::buffer::{Fit, Terms};
use super::keeper::{Keeping, Kept};
use super::shared::Shared;
use super::state::{Core, Phase};
use super::{Importance, Message, Refusal, SendError};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use tokio::sync::oneshot;
use tokio::task::coop;
use tokio::time::Instant;

impl<T: Message> Shared<T> {
    pub(super) fn terms(&self, message: &T, receipt: bool) -> Option<Terms> {
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
        if sent.is_multiple_of(8) {
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
