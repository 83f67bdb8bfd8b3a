//! A store in memory, that fails when it is told to and outlives its outbox.

use bytes::Bytes;
use hangup::outbox::Store;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    records: BTreeMap<u64, Bytes>,
    next: u64,
    calls: Vec<Call>,
    fails_recover: bool,
    fails_append: bool,
    fails_remove: bool,
    /// How often it is going to fail; `None` if it keeps no dead letters.
    fails_bury: Option<u32>,
    panics: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Append(Vec<u64>),
    Remove(Vec<u64>),
    Bury(u64),
}

impl MemoryStore {
    fn inner<R>(&self, look: impl FnOnce(&mut Inner) -> R) -> R {
        look(
            &mut self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    pub(crate) fn put(&self, number: u64, record: &'static [u8]) {
        self.inner(|inner| {
            inner.records.insert(number, Bytes::from_static(record));
            inner.next = inner.next.max(number + 1);
        });
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.inner(|inner| inner.records.keys().copied().collect())
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner(|inner| inner.calls.clone())
    }

    pub(crate) fn fail_recover(&self, fails: bool) {
        self.inner(|inner| inner.fails_recover = fails);
    }

    pub(crate) fn fail_append(&self, fails: bool) {
        self.inner(|inner| inner.fails_append = fails);
    }

    pub(crate) fn fail_remove(&self, fails: bool) {
        self.inner(|inner| inner.fails_remove = fails);
    }

    /// Buries from now on, after it has failed that often.
    pub(crate) fn fail_bury(&self, times: u32) {
        self.inner(|inner| inner.fails_bury = Some(times));
    }

    pub(crate) fn panic(&self) {
        self.inner(|inner| inner.panics = true);
    }
}

impl Store for MemoryStore {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.inner(|inner| match inner.fails_recover {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(inner.records.clone().into_iter().collect()),
        })
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(self.inner(|inner| inner.next))
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        self.inner(|inner| {
            assert!(!inner.panics, "the store of the test");
            let numbers = batch.iter().map(|(number, _)| *number).collect();
            inner.calls.push(Call::Append(numbers));
            inner.next = batch.last().map_or(inner.next, |(number, _)| number + 1);
            if inner.fails_append {
                return Err(io::ErrorKind::StorageFull.into());
            }
            inner.records.extend(batch.iter().cloned());
            Ok(())
        })
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.inner(|inner| {
            inner.calls.push(Call::Remove(numbers.to_vec()));
            if inner.fails_remove {
                return Err(io::ErrorKind::StorageFull.into());
            }
            inner.records.retain(|number, _| !numbers.contains(number));
            Ok(())
        })
    }

    fn bury(&mut self, number: u64, _: &str) -> io::Result<()> {
        self.inner(|inner| {
            inner.calls.push(Call::Bury(number));
            match &mut inner.fails_bury {
                None => return Err(io::ErrorKind::Unsupported.into()),
                Some(0) => {}
                Some(left) => {
                    *left -= 1;
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            inner.records.remove(&number);
            Ok(())
        })
    }
}
