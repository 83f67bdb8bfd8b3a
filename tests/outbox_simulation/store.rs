//! The store: it fails now and then, and a crash may undo what it removed last.

use crate::message::Note;
use bytes::Bytes;
use fastrand::Rng;
use hangup::outbox::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

/// The disk, which outlives the outbox.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

struct Inner {
    records: BTreeMap<u64, Bytes>,
    next: u64,
    removed: Vec<(u64, Bytes)>,
    /// Records that it has failed to remove.
    stuck: BTreeSet<u64>,
    /// Dead letters that it has failed to bury.
    unburied: BTreeSet<u64>,
    given_twice: Option<u64>,
    fine: bool,
    /// How many records it may have.
    capacity: usize,
    /// How often the machine has started, or an outbox. An outbox of an earlier start writes nothing any more.
    start: u64,
    rng: Rng,
}

impl Disk {
    pub(crate) fn new(mut rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            records: BTreeMap::new(),
            next: 0,
            removed: Vec::new(),
            stuck: BTreeSet::new(),
            unburied: BTreeSet::new(),
            given_twice: None,
            fine: false,
            capacity: match rng.u8(0..4) {
                0 => rng.usize(1..30),
                _ => usize::MAX,
            },
            start: 0,
            rng,
        })))
    }

    pub(crate) fn set_fine(&self, fine: bool) {
        self.0.lock().unwrap().fine = fine;
    }

    /// An earlier outbox whose shutdown has run out of time writes nothing from now on. (`DiskStore` refuses to open
    /// until that outbox is gone.)
    pub(crate) fn open(&self) -> SimStore {
        let mut inner = self.0.lock().unwrap();
        inner.start += 1;
        SimStore {
            disk: self.clone(),
            start: inner.start,
        }
    }

    /// The ids of the messages that it has, each with whether it has failed to remove it.
    pub(crate) fn stored(&self) -> BTreeMap<u64, bool> {
        let inner = self.0.lock().unwrap();
        let id = |record: &Bytes| Note::read(record).unwrap().id;
        let records = inner.records.iter();
        records
            .map(|(number, record)| (id(record), inner.stuck.contains(number)))
            .collect()
    }

    /// Everything is settled.
    pub(crate) fn check_empty(&self) {
        let inner = self.0.lock().unwrap();
        assert_eq!(inner.given_twice, None, "a number is given twice");
        for (number, record) in &inner.records {
            let letter = inner.unburied.contains(number);
            assert!(letter, "11: {record:?} stays in the store");
        }
    }

    pub(crate) fn crash(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.start += 1;
        let removed = std::mem::take(&mut inner.removed);
        for (number, record) in removed {
            if inner.rng.bool() {
                inner.records.insert(number, record);
            }
        }
    }
}

pub(crate) struct SimStore {
    disk: Disk,
    start: u64,
}

impl SimStore {
    fn inner<R>(&self, fails: u8, act: impl FnOnce(&mut Inner) -> R) -> io::Result<R> {
        let mut inner = self.disk.0.lock().unwrap();
        let fails = !inner.fine && inner.rng.u8(0..100) < fails;
        if fails || inner.start != self.start {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(act(&mut inner))
    }
}

impl Store for SimStore {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        self.inner(0, |inner| inner.records.clone().into_iter().collect())
    }

    fn recover_page(&mut self, from: u64, max_bytes: usize) -> io::Result<Vec<(u64, Bytes)>> {
        self.inner(10, |inner| {
            let mut bytes = 0;
            let kept = inner.records.range(from..);
            let page = kept.take_while(|(_, record)| {
                let first = bytes == 0;
                bytes += record.len();
                first || bytes <= max_bytes
            });
            page.map(|(number, record)| (*number, record.clone()))
                .collect()
        })
    }

    fn totals(&mut self) -> io::Result<(u64, u64)> {
        self.inner(0, |inner| {
            let bytes = inner.records.values().map(|record| record.len() as u64);
            (inner.records.len() as u64, bytes.sum())
        })
    }

    fn next_number(&mut self) -> io::Result<u64> {
        self.inner(0, |inner| inner.next)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        if self.inner(0, |inner| {
            inner.records.len() + batch.len() > inner.capacity
        })? {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.inner(10, |inner| {
            for (number, record) in batch {
                // The outbox catches panics of its store.
                if *number < inner.next {
                    inner.given_twice = Some(*number);
                }
                inner.next = number + 1;
                inner.records.insert(*number, record.clone());
            }
        })
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        let removed = self.inner(20, |inner| {
            inner.removed.clear();
            for &number in numbers {
                if let Some(record) = inner.records.remove(&number) {
                    inner.removed.push((number, record));
                }
            }
        });
        if removed.is_err() {
            self.disk.0.lock().unwrap().stuck.extend(numbers);
        }
        removed
    }

    fn bury(&mut self, number: u64, _: &str) -> io::Result<()> {
        let buried = self.inner(20, |inner| {
            inner.records.remove(&number);
        });
        if buried.is_err() {
            let mut inner = self.disk.0.lock().unwrap();
            inner.stuck.insert(number);
            inner.unburied.insert(number);
        }
        buried
    }
}
