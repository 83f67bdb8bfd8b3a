//! How held messages are confirmed: by number, by count, and by id.
//!
//! Confirmations of numbers and ids also cover messages that were written on an earlier connection (below `fresh`): a
//! reply may arrive late. A count covers only the present connection, because the peer counts from its start.

use super::super::block::Block;
use super::{Buffer, Ids, Outcome, Settled};
use std::collections::BTreeSet;

impl<T> Buffer<T> {
    /// Confirms all messages that were written before this position.
    pub(crate) fn confirm_below(
        &mut self,
        position: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        self.peer_names();
        if self.order.is_some() {
            return self.confirm_before(position, settle);
        }
        let limit = position.min(self.fresh);
        while let Some(block) = self.blocks.front() {
            if block.live == 0 || block.number(block.head) >= limit {
                break;
            }
            self.settle_at(0, block.head, Outcome::Confirmed, settle);
        }
    }

    /// Confirms the oldest block, if all of its messages were written on this connection before this position: a faster
    /// form of [`confirm_below`](Self::confirm_below). The caller drops the messages.
    pub(crate) fn confirm_block_below(&mut self, position: u64) -> Option<Block<T>> {
        let limit = position.min(self.cursor);
        let block = self.blocks.front()?;
        let is_plain = self.order.is_none() && matches!(self.ids, Ids::Growing(_));
        if !is_plain || block.live == 0 || block.end() > limit {
            return None;
        }
        self.peer_names();
        let block = self.blocks.pop_front()?;
        self.len -= block.live;
        self.written -= block.live;
        self.bytes -= block.bytes();
        Some(block)
    }

    /// Confirms the `count` messages that were written first on this connection. Messages that were dropped since then
    /// count too.
    pub(crate) fn confirm_oldest(
        &mut self,
        count: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        for _ in 0..count.min((self.written + self.gone.len()) as u64) {
            let first = match &self.order {
                None => self.first().map(|number| (number, number)),
                Some(order) => order.written().next(),
            };
            let first = first.filter(|_| self.written > 0);
            match (first, self.gone.first()) {
                (Some((_, number)), None) => self.settle(number, Outcome::Confirmed, settle),
                (Some((position, number)), Some(&gone)) if position < gone => {
                    self.settle(number, Outcome::Confirmed, settle);
                }
                _ => self.free_gone(|gone| {
                    gone.pop_first();
                }),
            }
        }
    }

    /// Confirms the oldest written message with this id.
    pub(crate) fn confirm_id(&mut self, id: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        self.peer_names();
        if let Some(number) = self.find(id) {
            self.settle(number, Outcome::Confirmed, settle);
        }
    }

    /// Confirms all written messages whose id is at most this one; with priorities the message with this id, and those that
    /// were written before it on this connection.
    pub(crate) fn confirm_up_to(
        &mut self,
        id: u64,
        settle: &mut (impl FnMut(Settled<T>) + ?Sized),
    ) {
        self.peer_names();
        if self.order.is_some() {
            return self.confirm_up_to_in_order(id, settle);
        }
        match &self.ids {
            Ids::Growing(_) => {
                while let Some(block) = self.blocks.front() {
                    let number = block.number(block.head);
                    match block.slots.get(block.head) {
                        Some(slot) if slot.id <= id && number < self.fresh => {
                            self.settle(number, Outcome::Confirmed, settle);
                        }
                        _ => break,
                    }
                }
            }
            Ids::Index(index) => {
                let named = index.range(..=(id, u64::MAX)).map(|&(_, number)| number);
                let mut named: Vec<u64> = named.filter(|&number| number < self.fresh).collect();
                named.sort_unstable();
                for number in named {
                    self.settle(number, Outcome::Confirmed, settle);
                }
            }
        }
    }

    /// Settles the oldest written message with this id as refused.
    pub(crate) fn refuse_id(&mut self, id: u64, settle: &mut (impl FnMut(Settled<T>) + ?Sized)) {
        self.peer_names();
        if let Some(number) = self.find(id) {
            self.settle(number, Outcome::Refused, settle);
        }
    }

    /// The peer's replies name messages, so nothing has to be counted.
    fn peer_names(&mut self) {
        if !self.named {
            self.named = true;
            self.free_gone(BTreeSet::clear);
        }
    }

    /// The oldest written message with this id.
    pub(super) fn find(&self, id: u64) -> Option<u64> {
        match &self.ids {
            Ids::Growing(_) => {
                let start = self.blocks.partition_point(|block| block.last_id() < id);
                for block in self.blocks.range(start..) {
                    let skip = block.slots.partition_point(|slot| slot.id < id);
                    for (index, slot) in block.slots.iter().enumerate().skip(skip) {
                        let number = block.number(index);
                        let ended = self.order.is_none() && number >= self.fresh;
                        if slot.id != id || ended {
                            return None;
                        }
                        if slot.message.is_some() && self.was_written(number) {
                            return Some(number);
                        }
                    }
                }
                None
            }
            Ids::Index(index) => {
                let named = index.range((id, 0)..=(id, u64::MAX));
                let mut numbers = named.map(|&(_, number)| number);
                match &self.order {
                    None => numbers.next().filter(|&number| number < self.fresh),
                    Some(_) => numbers.find(|&number| self.was_written(number)),
                }
            }
        }
    }
}
