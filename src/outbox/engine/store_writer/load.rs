//! Reads messages of the store into memory.

use super::StoreWriter;
use super::call::call;
use crate::outbox::engine::backlog::Page;
use crate::outbox::engine::core::Core;
use crate::outbox::engine::load::Undecodable;
use crate::outbox::engine::shared::OutboxShared;
use crate::outbox::engine::store_jobs::Job;
use crate::outbox::message::Message;
use crate::outbox::unsendable::{Unsendable, UnsendableReason};
use bytes::Bytes;
use std::io;
use tokio::time::Instant;

impl<T: Message> StoreWriter<T> {
    /// Reads pages of the store until memory is full. Called once, before the outbox starts.
    ///
    /// # Errors
    ///
    /// Those of `Store::recover_page`.
    pub(crate) fn load_first(&mut self) -> io::Result<()> {
        while let Some(shared) = self.shared.upgrade() {
            let page = {
                let mut core = shared.lock();
                let Core {
                    backlog, buffer, ..
                } = &mut *core;
                backlog.next_page(buffer, 0)
            };
            let Some(page) = page else {
                return Ok(());
            };
            let records = call(&mut self.store, |store| {
                store.recover_page(page.from, page.bytes)
            })?;
            self.take_in(&shared, page, records);
        }
        Ok(())
    }

    /// Reads a page of the store into memory, as much of it as fits.
    pub(crate) fn load(&mut self, page: Page) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let records = call(&mut self.store, |store| {
            store.recover_page(page.from, page.bytes)
        });
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                self.report("recover_page", &error);
                return shared.not_loaded();
            }
        };
        self.take_in(&shared, page, records);
    }

    /// Takes a page into memory. Records that cannot be decoded become dead letters.
    fn take_in(&mut self, shared: &OutboxShared<T>, page: Page, records: Vec<(u64, Bytes)>) {
        for undecodable in shared.load(page, records) {
            let Undecodable {
                number,
                record,
                error,
            } = undecodable;
            let reason = UnsendableReason::DecodeFailed(error.to_string().into());
            let letter = Unsendable {
                number,
                message: None,
                bytes: Some(record),
                reason,
            };
            if shared.hand_over(letter) {
                self.note(Job::Remove(vec![number]), Instant::now());
            } else {
                self.buried.push((number, error.to_string()));
            }
        }
    }
}
