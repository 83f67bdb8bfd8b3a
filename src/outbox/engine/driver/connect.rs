//! One attempt to connect.

use super::{Driver, LONGEST, Stop};
use crate::outbox::connection::Parts;
use crate::outbox::engine::housekeeping::{Housekeeping, Interrupt};
use crate::outbox::engine::phase::OutboxEnd;
use crate::outbox::message::Message;
use crate::outbox::user_code;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

impl<T: Message> Driver<T> {
    /// Calls the user's `connect`. Returns `None` if a handle asked for another attempt meanwhile.
    pub(super) async fn connect(
        &mut self,
        housekeeping: &mut Housekeeping<T>,
    ) -> Result<Option<io::Result<Parts>>, Stop> {
        let connect = &mut self.connect;
        let mut connecting = match user_code::guard("`connect`", || Ok(connect())) {
            Ok(connecting) => connecting,
            Err(error) => return Ok(Some(Err(error))),
        };
        let limit = self.limits.connect_timeout;
        let mut timer = pin!(limit.map(|limit| tokio::time::sleep(limit.min(LONGEST))));
        let config = &self.monitor_config;
        let (shared, deferred) = (&self.shared, &mut self.deferred);
        let connected = poll_fn(|cx| {
            // Before `connecting`: a busy runtime polls a task before it has asked the system for events, and then
            // `connecting` does not know what has arrived. The timer fires only after the runtime has asked.
            let timer = timer.as_mut().as_pin_mut();
            let is_over = timer.is_some_and(|timer| timer.poll(cx).is_ready());
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
                && is_over
            {
                let what = format!("hangup: `connect` took longer than {limit:?}");
                let error = io::Error::new(io::ErrorKind::TimedOut, what);
                return Poll::Ready(Ok(Some(Err(error))));
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
