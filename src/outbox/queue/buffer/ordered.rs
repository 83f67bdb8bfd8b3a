//! What the buffer does differently when messages have priorities: they are written in the order of `Order`, and not in that
//! of their numbers.

use super::super::order::Order;
use super::{Budget, Buffer, Outcome, Settled, Taken};

impl<T> Buffer<T> {
    /// Messages have keys and priorities from now on. Nothing is held yet.
    pub(crate) fn prioritize(&mut self) {
        self.order = Some(Box::default());
    }

    /// Whether a message is written on this connection.
    pub(super) fn is_written(&self, number: u64) -> bool {
        self.position(number).is_some()
    }

    /// The position of a message that is written on this connection: its number, if messages have no priorities.
    pub(super) fn position(&self, number: u64) -> Option<u64> {
        match &self.order {
            None => (number < self.cursor).then_some(number),
            Some(order) => order.position(number),
        }
    }

    /// The position of the first message that is written on this connection; without priorities the number of the oldest
    /// message.
    pub(crate) fn first_position(&self) -> Option<u64> {
        match &self.order {
            None => self.first(),
            Some(order) => order.written().next().map(|(position, _)| position),
        }
    }

    /// As `take`, with priorities.
    pub(super) fn take_in_order(
        &mut self,
        budget: Budget,
        now: u64,
        batch: &mut Vec<Taken<T>>,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) -> u64
    where
        T: Clone,
    {
        let mut again = 0;
        let mut room = budget.bytes;
        while room > 0 && self.written < budget.in_flight {
            let order = self.order.as_deref();
            let next = order.and_then(|order| order.next(budget.below, budget.alone));
            let Some((number, (place, index))) =
                next.and_then(|number| Some((number, self.locate(number)?)))
            else {
                break;
            };
            let slot = &mut self.blocks[place].slots[index];
            if slot.expires <= now {
                self.expire(now, settle);
                continue;
            }
            let Some(message) = &slot.message else {
                break;
            };
            again += u64::from(slot.attempts > 0);
            slot.attempts = slot.attempts.saturating_add(1);
            room = room.saturating_sub((slot.size as usize).max(1));
            self.written += 1;
            batch.push(Taken {
                number,
                position: self.order.as_mut().map_or(0, |order| order.write(number)),
                attempt: slot.attempts,
                since: slot.since,
                message: message.clone(),
            });
        }
        again
    }

    /// Confirms what was written before this position.
    pub(super) fn confirm_before(
        &mut self,
        limit: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        while let Some((position, number)) = self.order.as_deref().and_then(first_written) {
            if position >= limit {
                break;
            }
            self.settle(number, Outcome::Confirmed, settle);
        }
    }

    /// Confirms the message with this id, and what was written before it on this connection.
    pub(super) fn confirm_up_to_in_order(
        &mut self,
        id: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        let number = self.find(id);
        let position = match number {
            Some(number) => self.position(number),
            None => self.order.as_deref().and_then(|order| order.passed(id)),
        };
        match (position, number) {
            (Some(position), _) => self.confirm_before(position + 1, settle),
            // It was written on an earlier connection.
            (None, Some(number)) => self.settle(number, Outcome::Confirmed, settle),
            (None, None) => {}
        }
    }

    /// The message to be dropped next, if any: the oldest one of the least urgent ones that are not written on this
    /// connection, or else the one that was written first.
    pub(super) fn victim_in_order(&self, order: &Order) -> Option<u64> {
        let waiting = order.least_urgent().next();
        waiting.or_else(|| first_written(order).map(|(_, number)| number))
    }

    /// Whether `evict` makes room for a message of this size before it drops one that is more urgent than this priority.
    pub(crate) fn can_make_room(&self, size: usize, priority: u8) -> bool {
        let Some(order) = self.order.as_deref() else {
            return size <= self.max_bytes && self.max_len > 0;
        };
        let (mut bytes, mut len) = (self.bytes, self.len);
        let written = order.written().map(|(_, number)| number);
        let mut victims = order.least_urgent().chain(written);
        while len >= self.max_len || bytes.saturating_add(size) > self.max_bytes {
            let victim = victims.next().and_then(|number| self.locate(number));
            let Some((place, index)) = victim else {
                return false;
            };
            let block = &self.blocks[place];
            if order.urgency(block.number(index)) > priority {
                return false;
            }
            bytes -= block.slots[index].size as usize;
            len -= 1;
        }
        true
    }

    /// Whether a message was ever written.
    pub(super) fn was_written(&self, number: u64) -> bool {
        match &self.order {
            None => number < self.fresh,
            Some(_) => {
                let place = self.locate(number);
                place.is_some_and(|(place, index)| self.blocks[place].slots[index].attempts > 0)
            }
        }
    }
}

fn first_written(order: &Order) -> Option<(u64, u64)> {
    order.written().next()
}
