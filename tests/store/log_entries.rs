//! What counts as an entry of the log: no bytes of a message.

use super::crc32::crc32;
use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Store};
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
