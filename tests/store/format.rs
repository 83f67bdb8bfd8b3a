//! Files of the format before, as redb 2.6 wrote them: they are read once, and converted.

use super::crc32::crc32;
use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Salvage, Store, StoreOptions, StoreProblem};
use redb2::{Builder, Database, TableDefinition};
use std::fs;
use std::path::Path;

const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("outbox");

fn message(number: u64) -> Bytes {
    Bytes::from(vec![number as u8; 10 + (number as usize * 7919) % 2991])
}

fn frame(number: u64, floor: u64, message: &[u8]) -> Vec<u8> {
    let mut frame = b"\x91hangup\x1b".to_vec();
    frame.extend(number.to_le_bytes());
    frame.extend(floor.to_le_bytes());
    frame.extend((message.len() as u32).to_le_bytes());
    let sum = crc32(&[&frame[8..], message].concat());
    frame.extend(sum.to_le_bytes());
    frame.extend(message);
    frame
}

/// A file as the version before wrote it, with messages 10 to 299; the next number is 400.
fn old(path: &Path, format: u64) -> Database {
    let mut builder = Builder::new();
    builder.create_with_file_format_v3(true);
    let database = builder.create(path).unwrap();
    for start in (0..300).step_by(50) {
        let mut transaction = database.begin_write().unwrap();
        transaction.set_two_phase_commit(true);
        {
            let mut messages = transaction.open_table(MESSAGES).unwrap();
            for number in start..start + 50 {
                let frame = frame(number, 0, &message(number));
                messages.insert(number, &*frame).unwrap();
            }
            for number in 0..10 {
                messages.remove(number).unwrap();
            }
            let mut facts = transaction.open_table(FACTS).unwrap();
            facts.insert("format", format).unwrap();
            facts.insert("next", 400).unwrap();
        }
        transaction.commit().unwrap();
    }
    database
}

fn want() -> Vec<(u64, Bytes)> {
    (10..300).map(|number| (number, message(number))).collect()
}

#[test]
fn a_file_of_the_format_before_is_converted() {
    let directory = Directory::new("convert");
    let path = directory.file();
    for crashed in [false, true] {
        let database = old(&path, 1);
        let bytes = fs::read(&path).unwrap();
        drop(database);
        if crashed {
            fs::write(&path, bytes).unwrap();
        }
        for _ in 0..2 {
            let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
            assert_eq!(store.recover().unwrap(), want());
            assert_eq!(store.next_number().unwrap(), 400);
        }
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        store.append(&[(400, Bytes::from("new"))]).unwrap();
        drop(store);
        assert!(fs::read(&path).unwrap().starts_with(b"hangup outbox"));
        assert_eq!(directory.names(), ["outbox"]);
        fs::remove_file(&path).unwrap();
    }
}

/// The file is where the link points, on another disk perhaps, and stays there.
#[cfg(unix)]
#[test]
fn a_conversion_leaves_a_link_where_it_is() {
    let directory = Directory::new("convert-link");
    let (link, path) = (directory.0.join("link"), directory.0.join("file"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    drop(old(&path, 1));
    let converted = DiskStore::open(&link, Fsync::Each).unwrap().recover();
    assert_eq!(converted.unwrap(), want());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let recovered = DiskStore::open(&path, Fsync::Each).unwrap().recover();
    assert_eq!(recovered.unwrap(), want());
}

/// It was called a format that this version does not know.
#[test]
fn an_old_file_that_is_only_read_says_what_to_do() {
    let directory = Directory::new("old-read-only");
    let path = directory.file();
    drop(old(&path, 1));
    let bytes = fs::read(&path).unwrap();
    let read_only = StoreOptions::new().read_only(true);
    let error = read_only.open(&path).unwrap_err();
    assert!(
        error.to_string().contains("open it once for writing"),
        "{error}"
    );
    assert!(fs::read(&path).unwrap() == bytes, "changed");
    drop(DiskStore::open(&path, Fsync::Each).unwrap());
    assert_eq!(read_only.open(&path).unwrap().recover().unwrap(), want());
}

#[test]
fn an_old_file_in_use_or_of_another_format_is_left_alone() {
    let directory = Directory::new("old");
    let path = directory.file();
    let database = old(&path, 7);
    let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    drop(database);
    let bytes = fs::read(&path).unwrap();
    let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
    assert!(
        matches!(error.problem(), StoreProblem::OtherFormat),
        "{error}"
    );
    assert!(fs::read(&path).unwrap() == bytes, "changed");
    assert_eq!(directory.names(), ["outbox"]);
}

#[test]
fn a_damaged_old_file_is_salvaged() {
    let directory = Directory::new("old-damaged");
    let path = directory.file();
    drop(old(&path, 1));
    let sound = fs::read(&path).unwrap();
    let victim = message(100);
    let at = sound
        .windows(victim.len())
        .position(|bytes| bytes == victim)
        .unwrap();
    let mut flipped = sound.clone();
    flipped[at + 3] ^= 1;
    let mut headless = sound.clone();
    headless[..4096].fill(0);
    let cut = sound[..at].to_vec();
    for (damage, lost) in [(flipped, Some(100)), (headless, None), (cut, Some(100))] {
        fs::write(&path, &damage).unwrap();
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        assert!(
            matches!(error.problem(), StoreProblem::Damaged { .. }),
            "{error}"
        );
        assert!(fs::read(&path).unwrap() == damage, "changed");
        let (mut store, salvage) = DiskStore::salvage(&path, Fsync::Each).unwrap();
        assert!(matches!(salvage, Salvage::Salvaged { .. }), "{salvage:?}");
        let found = store.recover().unwrap();
        for (number, content) in &found {
            assert_eq!(*content, message(*number), "{number}");
        }
        let has = |number| found.binary_search_by_key(&number, |row| row.0).is_ok();
        // Messages that were removed may be found again.
        if damage.len() == sound.len() {
            assert!((10..300).all(|number| has(number) || Some(number) == lost));
        }
        assert!(store.next_number().unwrap() > 300);
    }
}
