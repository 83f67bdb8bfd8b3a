//! The task of an outbox: connects, and connects again.

use super::housekeeping::{House, Stop};
use super::session::{self, Session};
use super::shared::Shared;
use super::state::{After, End};
use crate::CloseReason;
use crate::errors::{Classifier, ErrorClass};
use crate::outbox::builder::{Connect, NewDelays, NewEncoder};
use crate::outbox::confirm::{ByPeer, Replies};
use crate::outbox::connection::{Connection, Parts};
use crate::outbox::{Builder, Confirm, GaveUp, Link, Message};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// No attempt comes sooner after the last one, whatever the back-off says.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much later than asked tokio's timer may fire: it rounds up to a millisecond, and so does the
/// system's wait under it. Measured without this: attempts came 1.17 ms late in the median.
const TIMER: Duration = Duration::from_millis(1);

/// No delay is longer: what a user's iterator means by "never".
const LONGEST: Duration = Duration::from_secs(86_400 * 365);

pub(crate) struct Driver<T: Message> {
    shared: Arc<Shared<T>>,
    connect: Connect,
    encoder: NewEncoder<T>,
    replies: Option<Box<dyn Replies>>,
    classifier: Classifier,
    new_delays: NewDelays,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    lived: Duration,
    attempt: u32,
    after: After<T>,
}

impl<T: Message> Driver<T> {
    pub(crate) fn new(builder: Builder<T>, encoder: NewEncoder<T>, shared: Arc<Shared<T>>) -> Self {
        let mut new_delays = builder.delays;
        Self {
            shared,
            connect: builder.connect,
            encoder,
            replies: match builder.confirm {
                Confirm::Acknowledged => None,
                Confirm::ByPeer(ByPeer { replies, .. }) => Some(replies),
            },
            classifier: builder.classifier,
            delays: new_delays(),
            new_delays,
            lived: builder.lived,
            attempt: 0,
            after: After::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut house = House::new();
        let end = loop {
            match self.once(&mut house).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        self.shared.end(end);
    }

    /// One connection, and the delay after it.
    async fn once(&mut self, house: &mut House) -> Result<(), End> {
        let connecting = (self.connect)();
        let connected = self.meanwhile(house, connecting).await?;
        let error = match connected.and_then(|Connection { parts }| parts) {
            Ok(parts) => self.session(house, parts).await?,
            Err(error) => error,
        };
        let class = self.classifier.classify(&error);
        if !mends(class) {
            return Err(End::GaveUp(GaveUp::new(class, &error)));
        }
        let Some(delay) = self.delays.next() else {
            return Err(End::GaveUp(GaveUp::new(class, &error)));
        };
        let due = Instant::now() + delay.clamp(SHORTEST, LONGEST);
        self.attempt += 1;
        let link = Link::Retrying {
            attempt: self.attempt,
            next_in: Duration::ZERO,
            reason: CloseReason::from(&error),
        };
        self.shared.set_link(link, Some(due));
        let due = match delay > TIMER {
            true => due - TIMER,
            false => due,
        };
        self.meanwhile(house, tokio::time::sleep_until(due)).await
    }

    /// One connection, to its end.
    async fn session(&mut self, house: &mut House, parts: Parts) -> Result<io::Error, End> {
        self.shared.set_link(Link::Connected, None);
        let began = Instant::now();
        let delivered = self.shared.delivered();
        let encode = (self.encoder)();
        let replies = self.replies.as_mut();
        let replies = replies.map(|replies| &mut **replies as &mut dyn Replies);
        let end = Session::new(&self.shared, parts, encode, replies)
            .run(house)
            .await;
        self.shared.rewind(&mut self.after);
        match end {
            session::End::Lost(error) => {
                if began.elapsed() >= self.lived || self.shared.delivered() > delivered {
                    self.delays = (self.new_delays)();
                    self.attempt = 0;
                }
                Ok(error)
            }
            session::End::Stop(_) => Err(End::ShutDown),
        }
    }

    /// Runs `future`, and sees to the rest meanwhile.
    async fn meanwhile<F: Future>(
        &mut self,
        house: &mut House,
        future: F,
    ) -> Result<F::Output, End> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            house
                .poll(&self.shared, &mut self.after, false, None, cx)
                .map(|_: Stop| Err(End::ShutDown))
        })
        .await
    }
}

/// Whether another attempt, after a while, may do better.
fn mends(class: ErrorClass) -> bool {
    class.is_connection() || class.is_transient() || class == ErrorClass::LocalResources
}

/// However the task ends, nobody waits for it any more.
impl<T: Message> Drop for Driver<T> {
    fn drop(&mut self) {
        self.shared.end(End::TaskGone);
    }
}
