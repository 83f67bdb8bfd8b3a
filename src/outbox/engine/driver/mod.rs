//! The task of an outbox: it connects, and connects again after each loss.
//!
//! ```text
//!           ┌──────────── delay over, or reconnect_now ───────────┐
//!           ▼                                                     │
//!      Connecting ──connected──▶ session ──lost──▶ give_up_on? ──▶ Retrying
//!           │                                         │  yes, or the back-off ended
//!           └───────────────error─────────────────────┤
//!                                                     ▼
//!                                   Suspended ──resume──▶ Connecting
//! ```
//!
//! The task ends when the outbox is drained, when the time of a shutdown is over, or when another thread ended the
//! outbox. [`Housekeeping::poll`] reports each of these as an [`Interrupt`] in every state.

mod connect;
mod suspect;

use super::deferred::Deferred;
use super::housekeeping::{Housekeeping, Interrupt};
use super::phase::OutboxEnd;
use super::session::{BATCH, Session, SessionEnd};
use super::settings::{Connect, Delays, GiveUpOn, Limits, NewDelays, NewEncoder, Settings};
use super::shared::OutboxShared;
use super::store_writer::StoreWriter;
use crate::errors::CloseReason;
use crate::outbox::backoff::Backoff;
use crate::outbox::confirm::Replies;
use crate::outbox::connection::Parts;
use crate::outbox::give_up::GiveUpReason;
use crate::outbox::message::Message;
use crate::outbox::status::Link;
use crate::outbox::user_code;
use crate::policy::MonitorConfig;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest delay between two attempts, whatever the back-off says.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much later than asked tokio's timer may fire: it rounds up to a millisecond, and so does the system's wait below
/// it. The task asks for this much less. Without it, attempts came 1.17 ms late in the median.
const TIMER: Duration = Duration::from_millis(1);

/// The longest delay. An iterator of the user may mean "never" by a longer one, and `Instant` would overflow.
const LONGEST: Duration = Duration::from_secs(86_400 * 365);

/// What panicked, in an error that nobody sees.
const BACKOFF: &str = "the back-off";

fn default_delays() -> Delays {
    Box::new(Backoff::default().into_iter())
}

/// The task's state across connections. Its [`run`](Self::run) is the future that `Builder::build` returns.
pub(crate) struct Driver<T: Message> {
    shared: Arc<OutboxShared<T>>,
    connect: Connect,
    encoder: NewEncoder<T>,
    replies: Option<Box<dyn Replies>>,
    monitor_config: MonitorConfig,
    give_up_on: GiveUpOn,
    new_delays: NewDelays,
    delays: Delays,
    limits: Limits,
    writer: Option<StoreWriter<T>>,
    /// Attempts since the last healthy connection: see `Link::Retrying`.
    attempt: u32,
    /// When there was a healthy connection last, or else when the outbox started. `give_up_after` counts from here.
    healthy: Instant,
    /// How many bytes of messages go out at once. It shrinks when a connection ends without a confirmation: where
    /// only the end of a batch shows what is acknowledged, a short-lived connection confirms nothing of a long batch.
    batch: usize,
    /// The message that may be the cause of lost connections.
    suspect: Option<Suspect>,
    deferred: Deferred<T>,
}

/// The message that was the oldest unconfirmed one when the last connection ended. If the peer closes whenever it
/// reads one certain message, this is that message.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    number: u64,
    /// How many connections in a row ended like this.
    losses: u32,
    /// How many of them carried this message alone.
    alone: u32,
}

/// Why the loop over connections stops.
enum Stop {
    End(OutboxEnd),
    GiveUp(GiveUpReason),
}

impl<T: Message> Driver<T> {
    pub(crate) fn new(
        settings: Settings<T>,
        replies: Option<Box<dyn Replies>>,
        shared: Arc<OutboxShared<T>>,
        writer: Option<StoreWriter<T>>,
    ) -> Self {
        let monitor_config = settings.monitor_config();
        let mut new_delays = settings.delays;
        Self {
            shared,
            connect: settings.connect,
            encoder: settings.encoder,
            replies,
            monitor_config,
            give_up_on: settings.give_up_on,
            delays: new_delays(),
            new_delays,
            limits: settings.limits,
            writer,
            attempt: 0,
            healthy: Instant::now(),
            batch: BATCH,
            suspect: None,
            deferred: Deferred::new(),
        }
    }

    /// Runs until the outbox ends.
    pub(crate) async fn run(mut self) {
        let mut housekeeping = Housekeeping::new(self.writer.take());
        // Dropped before the housekeeping: no message may be accepted for a store that is being closed.
        let _dropped = EndOnDrop(self.shared.clone());
        let end = loop {
            match self.once(&mut housekeeping).await {
                Ok(()) => {}
                Err(Stop::End(end)) => break end,
                Err(Stop::GiveUp(why)) => {
                    self.shared.suspend(why);
                    // Returns when the outbox is resumed, or ends.
                    if let Err(Stop::End(end)) = self.wait(&mut housekeeping, None).await {
                        break end;
                    }
                    self.start_anew();
                    self.healthy = Instant::now();
                }
            }
        };
        self.shared.end(end);
    }

    /// Makes one connection, uses it until it ends, and waits for the delay after it.
    async fn once(&mut self, housekeeping: &mut Housekeeping<T>) -> Result<(), Stop> {
        self.shared.set_link(Link::Connecting {
            attempt: self.attempt,
        });
        let Some(connected) = self.connect(housekeeping).await? else {
            self.start_anew();
            return Ok(());
        };
        let error = match connected {
            Ok(parts) => match self.session(housekeeping, parts).await? {
                Some(error) => error,
                None => {
                    self.start_anew();
                    return Ok(());
                }
            },
            Err(error) => error,
        };
        let why = || GiveUpReason::new(&error);
        let rule = &mut self.give_up_on;
        if user_code::guard("`give_up_on`", || Ok(rule(&error))).unwrap_or(false) {
            return Err(Stop::GiveUp(why()));
        }
        let Some(delay) = self.next_delay() else {
            return Err(Stop::GiveUp(why()));
        };
        let now = Instant::now();
        let mut due = now + delay.clamp(SHORTEST, LONGEST);
        if let Some(limit) = self.limits.give_up_after {
            let limit = self.healthy + limit.min(LONGEST);
            if limit <= now {
                return Err(Stop::GiveUp(why()));
            }
            due = due.min(limit);
        }
        self.attempt = self.attempt.saturating_add(1);
        self.shared.set_link(Link::Retrying {
            attempt: self.attempt,
            retry_at: due,
            reason: CloseReason::from(&error),
        });
        let wake = if due - now > TIMER { due - TIMER } else { due };
        if self.wait(housekeeping, Some(wake)).await? {
            self.start_anew();
        }
        Ok(())
    }

    /// Starts the back-off anew.
    fn start_anew(&mut self) {
        let new = &mut self.new_delays;
        let delays = user_code::guard(BACKOFF, || Ok(new()));
        self.delays = delays.unwrap_or_else(|_| default_delays());
        self.attempt = 0;
    }

    /// The delay before the next attempt; `None` if the back-off has ended. A back-off that panics is replaced by the
    /// default.
    fn next_delay(&mut self) -> Option<Duration> {
        let delays = &mut self.delays;
        user_code::guard(BACKOFF, || Ok(delays.next())).unwrap_or_else(|_| {
            self.delays = default_delays();
            self.delays.next()
        })
    }

    /// Uses one connection until it ends. Returns `None` if a handle asked for another one.
    async fn session(
        &mut self,
        housekeeping: &mut Housekeeping<T>,
        parts: Parts,
    ) -> Result<Option<io::Error>, Stop> {
        let encoder = &mut self.encoder;
        let replies = &mut self.replies;
        let prepared = user_code::guard("the maker of encoders or decoders", || {
            if let Some(replies) = replies {
                replies.renew();
            }
            Ok(encoder())
        });
        let encode = match prepared {
            Ok(encode) => encode,
            Err(error) => return Ok(Some(error)),
        };
        let by_tcp = self.replies.is_none();
        self.shared.set_link(Link::Connected);
        let began = Instant::now();
        let alone = self.shared.lock().alone;
        let replies = self
            .replies
            .as_deref_mut()
            .map(|replies| replies as &mut dyn Replies);
        let mut session = Session::new(
            &self.shared,
            parts,
            encode,
            replies,
            &self.limits,
            self.batch,
        );
        let end = session.run(housekeeping).await;
        let (healthy, confirmed, written) =
            (session.is_healthy(), session.confirmed, session.any_written);
        self.batch = match (confirmed, written) {
            (false, true) if by_tcp => (self.batch / 4).max(1),
            _ => session.batch,
        };
        // The destructors of the stream and of the encoder may panic too.
        let _ = user_code::guard("the stream", || {
            drop(session);
            Ok(())
        });
        let first = self.shared.lock().buffer.first_written();
        self.shared.rewind(&mut self.deferred);
        if healthy || began.elapsed() >= self.limits.reset_backoff_after {
            self.start_anew();
            self.healthy = Instant::now();
        }
        match end {
            SessionEnd::Lost(error) => {
                self.suspect(first, alone, &error);
                Ok(Some(error))
            }
            SessionEnd::Unsupported(error) => Err(Stop::GiveUp(GiveUpReason::new(&error))),
            SessionEnd::Interrupted(Interrupt::Reconnect) => Ok(None),
            SessionEnd::Interrupted(Interrupt::Drained | Interrupt::Over) => {
                Err(Stop::End(OutboxEnd::ShutDown))
            }
        }
    }

    /// Waits until `at`. Returns `true` if a handle asked for a new connection before.
    async fn wait(
        &mut self,
        housekeeping: &mut Housekeeping<T>,
        at: Option<Instant>,
    ) -> Result<bool, Stop> {
        let mut sleep = pin!(at.map(tokio::time::sleep_until));
        poll_fn(|cx| {
            if let Some(sleep) = sleep.as_mut().as_pin_mut()
                && sleep.poll(cx).is_ready()
            {
                return Poll::Ready(Ok(false));
            }
            let interrupt = housekeeping.poll(&self.shared, &mut self.deferred, false, None, cx);
            interrupt.map(|interrupt| match interrupt {
                Interrupt::Reconnect => Ok(true),
                Interrupt::Drained | Interrupt::Over => Err(Stop::End(OutboxEnd::ShutDown)),
            })
        })
        .await
    }
}

/// Dropping the task before it has ended fails all receipts and senders with `TaskGone`.
struct EndOnDrop<T: Message>(Arc<OutboxShared<T>>);

impl<T: Message> Drop for EndOnDrop<T> {
    fn drop(&mut self) {
        self.0.end(OutboxEnd::TaskGone);
    }
}

/// For a task that was never polled.
impl<T: Message> Drop for Driver<T> {
    fn drop(&mut self) {
        self.shared.end(OutboxEnd::TaskGone);
    }
}
