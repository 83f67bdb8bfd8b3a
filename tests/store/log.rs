//! Messages that lie in the log of a store, and not in its tables yet.

use super::crc32::crc32;
use super::directory::Directory;
use super::power_cut::recorder::{Failure, Recorder};
use bytes::Bytes;
use hangup::outbox::{
    DiskStore, Fsync, Salvage, StorageBackend, Store, StoreError, StoreOptions, StoreProblem,
};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Where the log is in a file that has one: behind the header and the first page of the database.
const LOG: std::ops::Range<usize> = 8192..8192 + 128 * 1024;

fn message(number: u64) -> Bytes {
    Bytes::from(format!("message {number} ").repeat(7))
}

fn batch(numbers: std::ops::Range<u64>) -> Vec<(u64, Bytes)> {
    numbers.map(|number| (number, message(number))).collect()
}

/// A file as the version before wrote it: without a log.
fn without_log(path: &Path) {
    drop(DiskStore::open(path, Fsync::Each).unwrap());
    let mut bytes = fs::read(path).unwrap();
    assert!(bytes[LOG].iter().all(|&byte| byte == 0));
    bytes.drain(LOG);
    for identity in [0, 7 * 512] {
        bytes[identity + 16..identity + 20].copy_from_slice(&2_u32.to_le_bytes());
        let sum = crc32(&bytes[identity..identity + 28]).to_le_bytes();
        bytes[identity + 28..identity + 32].copy_from_slice(&sum);
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_without_a_log_stays_as_it_is() {
    let directory = Directory::new("without-log");
    let path = directory.file();
    without_log(&path);
    for start in [0, 10, 20] {
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        assert_eq!(store.recover().unwrap(), batch(0..start));
        store.append(&batch(start..start + 5)).unwrap();
        store.append(&batch(start + 5..start + 10)).unwrap();
        assert_eq!(store.recover().unwrap(), batch(0..start + 10));
        drop(store);
        // The version before can read it.
        assert_eq!(fs::read(&path).unwrap()[16..20], 2_u32.to_le_bytes());
    }
}

/// A page of the backlog may begin in the tables and end in the log.
#[test]
fn the_log_is_read_behind_the_tables() {
    let directory = Directory::new("log-pages");
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    store.append(&batch(0..10)).unwrap();
    // Moves them into the tables.
    store.remove(&[0]).unwrap();
    store.append(&batch(10..20)).unwrap();
    store.append(&batch(20..30)).unwrap();
    for _ in 0..2 {
        assert_eq!(store.recover().unwrap(), batch(1..30));
        assert_eq!(store.recover_page(15, 1).unwrap(), batch(15..16));
        assert_eq!(store.recover_page(25, usize::MAX).unwrap(), batch(25..30));
        let three = 3 * message(10).len();
        assert_eq!(store.recover_page(9, three).unwrap(), batch(9..12));
        assert_eq!(store.totals().unwrap().0, 29);
        drop(store);
        store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    }
    store.remove(&[5, 15, 25]).unwrap();
    store.bury(16, "refused").unwrap();
    let mut want = batch(1..30);
    want.retain(|(number, _)| ![5, 15, 16, 25].contains(number));
    assert_eq!(store.recover().unwrap(), want);
    assert_eq!(store.dead_letters().unwrap().len(), 1);
    assert_eq!(store.next_number().unwrap(), 30);
}

/// Numbers that follow each other are removed together: from the tables, from the log, and where none is.
#[test]
fn numbers_are_removed_in_any_order() {
    let directory = Directory::new("log-any-order");
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    store.append(&batch(0..400)).unwrap();
    store.bury(7, "refused").unwrap();
    store.append(&batch(400..420)).unwrap();
    let removed = [
        405,
        5,
        6,
        7,
        8,
        8,
        300,
        299,
        301,
        419,
        0,
        399,
        400,
        401,
        402,
        u64::MAX,
        u64::MAX - 1,
        5000,
    ];
    store.remove(&removed).unwrap();
    let mut want = batch(0..420);
    want.retain(|(number, _)| !removed.contains(number));
    let bytes = want
        .iter()
        .map(|(_, message)| message.len() as u64)
        .sum::<u64>();
    for _ in 0..2 {
        assert!(store.recover().unwrap() == want);
        let dead_letter = store.dead_letters().unwrap().remove(0);
        assert_eq!(
            (dead_letter.number(), dead_letter.message()),
            (7, &message(7))
        );
        let (count, total) = store.totals().unwrap();
        assert_eq!(count, want.len() as u64);
        // The dead letter counts, with its reason.
        assert_eq!(total, bytes + (4 + 7 + message(7).len()) as u64);
        store = {
            drop(store);
            DiskStore::open(directory.file(), Fsync::Never).unwrap()
        };
    }
    store.append(&batch(420..430)).unwrap();
    store.remove(&(0..430).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.totals().unwrap().0, 0);
}

/// The store reads its file again after a call that failed. It said then that no message was intact.
#[test]
fn damage_that_an_open_store_finds_is_counted() {
    let recorder = Recorder::default();
    let mut store = StoreOptions::new().open_backend(recorder.clone()).unwrap();
    for number in 0..5 {
        store.append(&batch(number..number + 1)).unwrap();
    }
    let text = message(4);
    let bytes = recorder.bytes();
    let at = bytes.windows(text.len()).position(|bytes| bytes == text);
    let at = at.unwrap();
    recorder.write_at(at as u64, &[bytes[at] ^ 1]).unwrap();
    recorder.fail(Failure {
        calls: 0..1,
        syncs_only: false,
    });
    store.append(&batch(5..6)).unwrap_err();
    let error = store.append(&batch(6..7)).unwrap_err();
    let error: StoreError = error.downcast().unwrap();
    let counted = matches!(error.problem(), StoreProblem::Damaged { whole: 4, .. });
    assert!(counted, "{error}");
}

/// The last entry was accepted, so a flipped bit in any of them is damage, and no power cut.
#[test]
fn a_damaged_entry_is_reported() {
    let directory = Directory::new("log-damaged");
    let path = directory.file();
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    for number in 0..5 {
        store.append(&batch(number..number + 1)).unwrap();
    }
    drop(store);
    let sound = fs::read(&path).unwrap();
    for number in 0..5 {
        let text = message(number);
        let at = sound
            .windows(text.len())
            .position(|bytes| bytes == text)
            .unwrap();
        assert!(LOG.contains(&at));
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        let intact = matches!(error.problem(), StoreProblem::Damaged { whole: 4, .. });
        assert!(intact, "{number}: {error}");
        let (mut store, salvage) = DiskStore::salvage(&path, Fsync::Each).unwrap();
        assert!(matches!(salvage, Salvage::Salvaged { messages: 4, .. }));
        let mut want = batch(0..5);
        want.remove(number as usize);
        assert_eq!(store.recover().unwrap(), want);
    }
}

/// Counts what is written.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<Mutex<(Vec<u8>, usize)>>);

impl StorageBackend for Counting {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = &self.0.lock().unwrap().0;
        let range = bytes.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let end = offset as usize + data.len();
        if inner.0.len() < end {
            inner.0.resize(end, 0);
        }
        inner.0[offset as usize..end].copy_from_slice(data);
        inner.1 += data.len();
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.lock().unwrap().0.resize(size as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A message of 100 bytes in a commit of its own wrote 25 KB.
#[test]
fn a_small_message_writes_little() {
    let backend = Counting::default();
    let mut store = StoreOptions::new().open_backend(backend.clone()).unwrap();
    store.append(&[(0, Bytes::from(vec![0; 100]))]).unwrap();
    let before = backend.0.lock().unwrap().1;
    for number in 1..=1000 {
        store
            .append(&[(number, Bytes::from(vec![0; 100]))])
            .unwrap();
        if number % 100 == 0 {
            store
                .remove(&(number - 99..=number).collect::<Vec<_>>())
                .unwrap();
        }
    }
    let written = (backend.0.lock().unwrap().1 - before) / 1000;
    println!("{written} bytes for each message of 100");
    assert!(written < 1500, "{written}");
}
