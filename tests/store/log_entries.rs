//! What counts as an entry of the log: no bytes of a message, and nothing that an earlier session has left.

use super::crc32::crc32;
use super::directory::Directory;
use super::power_cut::recorder::{Recorder, Step, write};
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Store, StoreOptions};
use std::fs;

/// An entry without a message, made by somebody who has read the file.
fn planted(file: &[u8], base: u64, sequence: u64) -> Vec<u8> {
    let mut entry = b"\x93hangup\x1b".to_vec();
    entry.extend(&file[20..28]);
    entry.extend(base.to_le_bytes());
    entry.extend(sequence.to_le_bytes());
    entry.extend(0_u32.to_le_bytes());
    let sum = crc32(&entry[8..]);
    entry.extend(sum.to_le_bytes());
    entry
}

/// A message lay in the log and was removed. The next entry was shorter, and ended where the message had a planted entry:
/// the store could not be opened any more, or could not read what it accepted afterwards.
#[test]
fn a_planted_entry_is_not_taken_for_one() {
    // A new file is in session 2. The first change of its tables is the second commit.
    let base = (2 << 32) + 2;
    for (base, sequence) in [(base, (1 << 60) - 1), (base, u64::MAX), (u64::MAX, 1)] {
        let directory = Directory::new("planted-entry");
        let path = directory.file();
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        let short = Bytes::from("a short message");
        let mut evil = vec![b'.'; short.len()];
        evil.extend(planted(&fs::read(&path).unwrap(), base, sequence));
        evil.resize(3000, b'.');
        store.append(&[(0, evil.into())]).unwrap();
        store.remove(&[0]).unwrap();
        store.append(&[(1, short.clone())]).unwrap();
        drop(store);

        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        assert_eq!(store.recover().unwrap(), [(1, short.clone())]);
        store.append(&[(2, short.clone())]).unwrap();
        store.remove(&[1]).unwrap();
        drop(store);
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        assert_eq!(store.recover().unwrap(), [(2, short)]);
    }
}

/// With `Never` a power cut may leave any part of a session. It left entries, and not the number of their session: the next
/// session had the same one, and with it the same sequences, so old entries counted behind new ones. The message that was
/// accepted as number 2 was found twice, and became an old one with the next removal.
#[test]
fn entries_of_a_session_that_a_power_cut_has_undone_do_not_count() {
    let message = |text: &str, size| Bytes::from(text.repeat(size));
    let recorder = Recorder::default();
    let never = StoreOptions::new().fsync(Fsync::Never);
    drop(never.open_backend(recorder.clone()).unwrap());
    let created = recorder.steps().len();
    let mut store = never.open_backend(recorder.clone()).unwrap();
    // The first batch after an opening goes into the tables.
    for number in 0..5 {
        store.append(&[(number, message("o", 100))]).unwrap();
    }
    let steps = recorder.steps();
    // What the disk has: all up to the last barrier, and of the rest only the log without its first entry.
    let barrier = |step: &Step| matches!(step, Step::Sync);
    let durable = steps.iter().rposition(barrier).map_or(0, |at| at + 1);
    let entries = |step: &&Step| matches!(step, Step::Write(8193..139_264, _));
    let (before, after) = steps.split_at(durable.max(created));
    let mut image = Vec::new();
    for step in before.iter().chain(after.iter().filter(entries)) {
        match step {
            Step::Size(size) => image.resize(*size as usize, 0),
            Step::Write(offset, data) => write(&mut image, *offset, data),
            _ => {}
        }
    }

    let disk = Recorder::new(image);
    let each = StoreOptions::new();
    let mut store = each.open_backend(disk.clone()).unwrap();
    assert_eq!(store.recover().unwrap(), []);
    let mut new = vec![(0, message("n", 3))];
    store.append(&new).unwrap();
    // As long as the first entry of before.
    let entry = [(1, message("n", 20)), (2, message("n", 20))];
    store.append(&entry).unwrap();
    new.extend(entry);
    drop(store);
    let mut store = each.open_backend(disk).unwrap();
    assert_eq!(store.recover().unwrap(), new);
}
