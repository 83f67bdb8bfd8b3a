//! One attempt to connect.

use super::{Driver, LONGEST, Stop, TIMER};
use crate::outbox::connection::Parts;
use crate::outbox::engine::housekeeping::{Housekeeping, Interrupt};
use crate::outbox::engine::phase::OutboxEnd;
use crate::outbox::message::Message;
use crate::outbox::user_code;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long an attempt gets beyond its limit: see [`Driver::connect`].
const ASK: Duration = Duration::from_millis(1);

impl<T: Message> Driver<T> {
    /// How long an attempt may take that begins now. One that begins at the end of `give_up_after` is the last, and has as much
    /// time as any.
    fn attempt_limit(&self) -> Option<Duration> {
        let give_up_after = self.limits.give_up_after.map(|limit| {
            let limit = limit.min(LONGEST);
            let left = (self.healthy + limit).saturating_duration_since(Instant::now());
            if left > TIMER { left } else { limit }
        });
        let limits = [self.limits.connect_timeout, give_up_after];
        limits.into_iter().flatten().min()
    }

    /// Calls the user's `connect`. Returns `None` if a handle asked for another attempt meanwhile.
    ///
    /// What arrived within the limit counts, also if the task is polled later. A busy runtime polls a task before it has asked the
    /// system for events, and then `connecting` does not know what has arrived. A timer fires only after the runtime has asked. But
    /// in a process that was stopped and continued, the first question fails (`EINTR`, signal(7)). So a second timer
    /// decides.
    pub(super) async fn connect(
        &mut self,
        housekeeping: &mut Housekeeping<T>,
    ) -> Result<Option<io::Result<Parts>>, Stop> {
        let connect = &mut self.connect;
        let mut connecting = match user_code::guard("`connect`", || Ok(connect())) {
            Ok(connecting) => connecting,
            Err(error) => return Ok(Some(Err(error))),
        };
        let limit = self.attempt_limit();
        let mut timer = pin!(limit.map(|limit| sleep(limit.min(LONGEST))));
        let mut last_look = None::<Pin<Box<Sleep>>>;
        let config = &self.monitor_config;
        let (shared, deferred) = (&self.shared, &mut self.deferred);
        let connected = poll_fn(|cx| {
            // Before `connecting`, which then knows what arrived before the timer fired.
            let has_looked =
                { last_look.as_mut() }.is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
            let timer = timer.as_mut().as_pin_mut().filter(|_| last_look.is_none());
            let is_over =
                last_look.is_some() || timer.is_some_and(|timer| timer.poll(cx).is_ready());
            let polled = user_code::guard("`connect`", || {
                Ok(match connecting.as_mut().poll(cx) {
                    Poll::Ready(connected) => Poll::Ready(connected?.open(config)?),
                    Poll::Pending => Poll::Pending,
                })
            });
            match polled {
                Ok(Poll::Ready(parts)) => return Poll::Ready(Ok(Some(Ok(parts)))),
                Err(error) => return Poll::Ready(Ok(Some(Err(error)))),
                Ok(Poll::Pending) => {}
            }
            if let Some(limit) = limit
                && has_looked
            {
                let what = format!("hangup: `connect` took longer than {limit:?}");
                let error = io::Error::new(io::ErrorKind::TimedOut, what);
                return Poll::Ready(Ok(Some(Err(error))));
            }
            if is_over {
                let timer = last_look.get_or_insert_with(|| Box::pin(sleep(ASK)));
                if timer.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
            }
            let interrupt = housekeeping.poll(shared, deferred, false, None, cx);
            interrupt.map(|interrupt| match interrupt {
                Interrupt::Reconnect => Ok(None),
                Interrupt::Drained | Interrupt::Over => Err(Stop::End(OutboxEnd::ShutDown)),
            })
        })
        .await;
        // The future is dropped here, even if it has not finished. A panic of its destructor is caught.
        let _ = user_code::guard("`connect`", || {
            drop(connecting);
            Ok(())
        });
        connected
    }
}
