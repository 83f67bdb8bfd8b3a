//! How messages of the backlog come from the store into memory, one page at a time.

use super::backlog::Page;
use super::core::Core;
use super::deferred::Deferred;
use super::shared::OutboxShared;
use crate::outbox::confirm::Ids;
use crate::outbox::message::{Importance, Message};
use crate::outbox::queue::block::Terms;
use crate::outbox::queue::buffer::Fit;
use crate::outbox::undelivered::UndeliveredReason;
use crate::outbox::user_code;
use bytes::Bytes;
use std::io;
use tokio::time::Instant;

/// Why a message is not taken in whose size no `u32` can say.
const TOO_LARGE: &str = "the message is larger than 4 GiB";

/// A record that `Record::from_bytes` refused, or panicked on.
pub(crate) struct Undecodable {
    pub(crate) number: u64,
    pub(crate) record: Bytes,
    pub(crate) error: io::Error,
}

/// Whether a message of a page was taken into memory.
enum Taken {
    Yes,
    /// There is no room yet for the message, which has this size. The page is read again from here later.
    NoRoom(usize),
}

impl<T: Message> OutboxShared<T> {
    /// The page could not be read. It is read again after a delay.
    pub(crate) fn not_loaded(&self) {
        let mut deferred = Deferred::<T>::new();
        {
            let mut core = self.lock();
            let now = self.nanos(Instant::now());
            core.backlog.not_loaded(now);
            deferred.wakers().extend(core.task.waker.take());
        }
        deferred.run();
    }

    /// Takes the messages of a page into memory, in order, until one does not fit. Returns the records that cannot be
    /// decoded.
    pub(crate) fn load(&self, page: Page, records: Vec<(u64, Bytes)>) -> Vec<Undecodable> {
        let mut undecodable = Vec::new();
        let mut deferred = Deferred::<T>::new();
        let (mut from, mut needs) = (page.from, 0);
        let exhausted = records.is_empty();
        for (number, record) in records {
            let size = record.len();
            let decoded = user_code::guard("`Record::from_bytes`", || {
                let from_bytes = self.from_bytes.ok_or(io::ErrorKind::Unsupported)?;
                let message = from_bytes(record.clone()).map_err(user_code::io_error)?;
                let terms = self.terms(&message, Importance::Important, false);
                let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, TOO_LARGE);
                Ok((message, terms.ok_or_else(too_large)?))
            });
            let decoded = decoded.map(|(message, terms)| {
                self.take_in(
                    &mut self.lock(),
                    number,
                    message,
                    terms,
                    size,
                    &mut deferred,
                )
            });
            match decoded {
                Ok(Taken::Yes) => {}
                Ok(Taken::NoRoom(size)) => {
                    needs = size;
                    break;
                }
                Err(error) => {
                    if self.not_decoded(number, size, &error, &mut deferred) {
                        undecodable.push(Undecodable {
                            number,
                            record,
                            error,
                        });
                    }
                }
            }
            from = number.saturating_add(1);
        }
        {
            let mut core = self.lock();
            if exhausted {
                core.backlog.exhausted();
            } else {
                core.backlog.loaded(from, needs);
            }
            core.room_changed(&mut deferred);
            deferred.wakers().extend(core.task.waker.take());
        }
        deferred.run();
        undecodable
    }

    /// Puts a message of the store into the buffer, under its old number.
    fn take_in(
        &self,
        core: &mut Core<T>,
        number: u64,
        message: T,
        mut terms: Terms,
        record: usize,
        deferred: &mut Deferred<T>,
    ) -> Taken {
        if core.backlog.is_dropped(number) {
            return Taken::Yes;
        }
        let size = terms.size as usize;
        match core.buffer.fit(size) {
            // An earlier outbox with a larger capacity accepted it, so it must be delivered here too.
            Fit::Now | Fit::Never => {}
            Fit::Later if core.buffer.is_empty() => {}
            Fit::Later => return Taken::NoRoom(size),
        }
        let now = self.nanos(Instant::now());
        let accepted = core.backlog.accepted(number);
        let (receipt, expires) = core.backlog.remove(number, record);
        if expires.is_some_and(|expires| expires <= now) {
            core.counts.dropped += 1;
            if let Some(store) = &core.store {
                store.remove(vec![number]);
            }
            if let Some(message) = receipt {
                deferred.wakers().extend(core.receipts.remove(&number));
                core.failed
                    .insert(number, (message, UndeliveredReason::Expired));
            }
            return Taken::Yes;
        }
        terms.since = accepted.unwrap_or(now);
        terms.expires = expires;
        terms.receipt = receipt.is_some();
        deferred.messages().extend(receipt);
        if matches!(self.ids, Ids::Numbers) {
            terms.id = number;
        }
        core.buffer.insert_at(number, message, terms);
        core.changed = true;
        Taken::Yes
    }

    /// A record cannot be decoded: its receipt, if there is one, reports this. Returns `false` if the message has been dropped
    /// before.
    fn not_decoded(
        &self,
        number: u64,
        record: usize,
        error: &io::Error,
        deferred: &mut Deferred<T>,
    ) -> bool {
        let mut core = self.lock();
        if core.backlog.is_dropped(number) {
            return false;
        }
        let (receipt, _) = core.backlog.remove(number, record);
        core.counts.dropped += 1;
        core.counts.unsendable += 1;
        core.changed = true;
        if let Some(message) = receipt {
            let reason = UndeliveredReason::DecodeFailed(error.to_string().into());
            deferred.wakers().extend(core.receipts.remove(&number));
            core.failed.insert(number, (message, reason));
        }
        true
    }

    /// Records that the store drops the oldest message of the backlog to make room.
    pub(crate) fn drop_from_backlog(&self, number: u64, record: usize) {
        let mut deferred = Deferred::<T>::new();
        {
            let mut core = self.lock();
            if core.backlog.is_dropped(number) {
                return;
            }
            let (receipt, _) = core.backlog.remove(number, record);
            core.backlog.skip(number);
            core.counts.dropped += 1;
            core.changed = true;
            if let Some(message) = receipt {
                deferred.wakers().extend(core.receipts.remove(&number));
                core.failed
                    .insert(number, (message, UndeliveredReason::Overflowed));
            }
        }
        deferred.run();
    }
}
