//! How much disk a store takes, how it is read in parts, and what it keeps apart.

use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DeadLetter, DiskStore, Fsync, Store, StoreOptions};
use std::io;

fn batch(numbers: std::ops::Range<u64>, size: usize) -> Vec<(u64, Bytes)> {
    numbers
        .map(|number| (number, Bytes::from(vec![number as u8; size])))
        .collect()
}

/// 54 MiB stayed for ever.
#[test]
fn the_file_shrinks_when_its_messages_are_delivered() {
    let directory = Directory::new("shrinks");
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    for start in (0..30_000).step_by(1000) {
        store.append(&batch(start..start + 1000, 1000)).unwrap();
    }
    let full = store.info().unwrap();
    assert_eq!(full.messages(), 30_000);
    assert!(full.file_size() > 30_000_000, "{full:?}");
    for start in (0..30_000).step_by(500) {
        store
            .remove(&(start..start + 500).collect::<Vec<_>>())
            .unwrap();
    }
    let empty = store.info().unwrap();
    assert_eq!((empty.messages(), empty.bytes()), (0, 0));
    assert!(empty.file_size() < 4 << 20, "{empty:?}");
    store.append(&batch(30_000..30_001, 10)).unwrap();
    drop(store);
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    assert_eq!(store.recover().unwrap(), batch(30_000..30_001, 10));
}

#[test]
fn a_backlog_is_read_page_by_page() {
    let directory = Directory::new("pages");
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    store.append(&batch(0..1000, 100)).unwrap();
    store.remove(&(100..200).collect::<Vec<_>>()).unwrap();
    let (mut from, mut all) = (0, Vec::new());
    loop {
        let page = store.recover_page(from, 1050).unwrap();
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 10, "{}", page.len());
        from = last + 1;
        all.extend(page);
    }
    assert_eq!(all, store.recover().unwrap());
    assert_eq!(all.len(), 900);
    // One that is larger comes alone.
    assert_eq!(store.recover_page(5, 1).unwrap(), batch(5..6, 100));
    assert_eq!(store.recover_page(1000, 1).unwrap(), []);
}

#[test]
fn the_capacity_bounds_what_is_kept() {
    let directory = Directory::new("capacity");
    let options = StoreOptions::new().fsync(Fsync::Never).disk_capacity(1600);
    let mut store = options.open(directory.file()).unwrap();
    store.append(&batch(0..9, 100)).unwrap();
    let error = store.append(&batch(9..11, 100)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded, "{error}");
    store.append(&batch(9..10, 100)).unwrap();
    store.append(&batch(10..11, 0)).unwrap_err();
    assert_eq!(store.info().unwrap().bytes(), 1600);
    drop(store);
    let mut store = options.open(directory.file()).unwrap();
    store.append(&batch(10..11, 100)).unwrap_err();
    store.remove(&[3]).unwrap();
    store.append(&batch(10..11, 100)).unwrap();
}

#[test]
fn dead_letters_are_kept_apart() {
    let directory = Directory::new("dead-letters");
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    store.append(&batch(0..5, 10)).unwrap();
    store.bury(1, "the peer refuses it: ü").unwrap();
    store.bury(3, "").unwrap();
    store.bury(1, "once more").unwrap();
    store.bury(99, "nothing there").unwrap();
    drop(store);

    let letter = |number, reason: &str| {
        DeadLetter::new(
            number,
            reason.to_owned(),
            Bytes::from(vec![number as u8; 10]),
        )
    };
    let letters = [letter(1, "the peer refuses it: ü"), letter(3, "")];
    let mut store = DiskStore::open(directory.file(), Fsync::Never).unwrap();
    let numbers = |store: &mut DiskStore| {
        let rows = store.recover().unwrap();
        rows.into_iter()
            .map(|(number, _)| number)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&mut store), [0, 2, 4]);
    assert_eq!(store.dead_letters().unwrap(), letters);
    drop(store);

    // They stay dead letters when the file is salvaged.
    let mut damaged = std::fs::read(directory.file()).unwrap();
    damaged[4096..8192].fill(0);
    std::fs::write(directory.file(), damaged).unwrap();
    let (mut store, _) = DiskStore::salvage(directory.file(), Fsync::Never).unwrap();
    assert_eq!(numbers(&mut store), [0, 2, 4]);
    assert_eq!(store.dead_letters().unwrap(), letters);
    store.remove_dead_letters(&[1, 2]).unwrap();
    assert_eq!(store.dead_letters().unwrap(), letters[1..]);
    let info = store.info().unwrap();
    assert_eq!((info.messages(), info.dead_letters()), (3, 1));
}
