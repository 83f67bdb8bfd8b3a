//! The store on disk: what it keeps, and what it says of files that are full, damaged or not its own.
#![cfg(feature = "durable")]

use super::crc32::crc32;
use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Salvage, Store, StoreProblem};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// A message of 10 to 3000 bytes.
fn message(number: u64) -> Bytes {
    let size = 10 + (number as usize * 7919) % 2991;
    Bytes::from(vec![number as u8; size])
}

fn batch(numbers: std::ops::Range<u64>) -> Vec<(u64, Bytes)> {
    numbers.map(|number| (number, message(number))).collect()
}

#[test]
fn what_is_kept_is_recovered_in_order() {
    let directory = Directory::new("order");
    for fsync in [Fsync::Each, Fsync::Never] {
        let path = directory.0.join(format!("{fsync:?}"));
        let mut store = DiskStore::open(&path, fsync).unwrap();
        assert_eq!(store.recover().unwrap(), []);
        assert_eq!(store.next_number().unwrap(), 0);
        for start in (0..100).step_by(10) {
            store.append(&batch(start..start + 10)).unwrap();
        }
        store.remove(&[0, 1, 2, 50, 99, 1000]).unwrap();
        drop(store);

        let mut want = batch(3..99);
        want.retain(|(number, _)| *number != 50);
        let mut store = DiskStore::open(&path, fsync).unwrap();
        assert_eq!(store.recover().unwrap(), want);
        // Numbers go on, though the last one is gone.
        assert_eq!(store.next_number().unwrap(), 100);
        let all: Vec<u64> = (0..100).collect();
        store.remove(&all).unwrap();
        store.append(&[]).unwrap();
        store.append(&[(100, Bytes::new())]).unwrap();
        drop(store);

        let mut store = DiskStore::open(&path, fsync).unwrap();
        assert_eq!(store.recover().unwrap(), [(100, Bytes::new())]);
        assert_eq!(store.next_number().unwrap(), 101);
    }
    assert_eq!(directory.names(), ["Each", "Never"]);
}

#[test]
fn a_file_has_one_owner() {
    let directory = Directory::new("owner");
    let store = DiskStore::open(directory.file(), Fsync::Each).unwrap();
    let error = DiskStore::open(directory.file(), Fsync::Each).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(directory.file().to_str().unwrap())
    );
    let error = DiskStore::salvage(directory.file(), Fsync::Each).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ResourceBusy);
    drop(store);
    DiskStore::open(directory.file(), Fsync::Each).unwrap();
}

#[test]
fn another_file_is_left_alone() {
    let directory = Directory::new("other");
    let path = directory.file();
    let redb = directory.0.join("redb");
    let database = redb::Database::create(&redb).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, u64>::new("accounts");
    transaction
        .open_table(table)
        .unwrap()
        .insert("a", 1)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let contents = [
        Vec::new(),
        b"dear diary".to_vec(),
        vec![0; 8192],
        fs::read(&redb).unwrap(),
    ];
    for content in contents {
        fs::write(&path, &content).unwrap();
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        assert!(
            matches!(error.problem(), StoreProblem::NotAStore),
            "{error}"
        );
        assert_eq!(error.path(), path);
        let error = DiskStore::salvage(&path, Fsync::Each).unwrap_err();
        assert!(
            matches!(error.problem(), StoreProblem::NotAStore),
            "{error}"
        );
        assert!(fs::read(&path).unwrap() == content);
    }
    assert_eq!(directory.names(), ["outbox", "redb"]);
}

#[test]
fn another_format_is_left_alone() {
    let directory = Directory::new("format");
    let path = directory.file();
    drop(DiskStore::open(&path, Fsync::Each).unwrap());
    let mut later = fs::read(&path).unwrap();
    for identity in [0, 7 * 512] {
        later[identity + 16..identity + 20].copy_from_slice(&4_u32.to_le_bytes());
        let sum = crc32(&later[identity..identity + 28]).to_le_bytes();
        later[identity + 28..identity + 32].copy_from_slice(&sum);
    }
    fs::write(&path, &later).unwrap();
    for opened in [
        DiskStore::open(&path, Fsync::Each),
        DiskStore::salvage(&path, Fsync::Each).map(|(store, _)| store),
    ] {
        let error = opened.unwrap_err();
        assert!(
            matches!(error.problem(), StoreProblem::OtherFormat),
            "{error}"
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    }
    assert!(fs::read(&path).unwrap() == later);
}

#[test]
fn what_cannot_be_opened_says_its_path() {
    let directory = Directory::new("missing");
    let path = directory.0.join("none").join("outbox");
    let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::Io(_)), "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    // As of a variable that is not set. It was "not a store", and was to be removed.
    let error = DiskStore::open("", Fsync::Each).unwrap_err();
    assert!(error.to_string().starts_with("the path names no file"));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

/// A file in which messages 50 to 199 are kept, 10 to a commit; closed, or as a crash leaves it.
fn sample(path: &Path, closed: bool) -> Vec<u8> {
    let mut store = DiskStore::open(path, Fsync::Never).unwrap();
    for start in (0..200).step_by(10) {
        store.append(&batch(start..start + 10)).unwrap();
        if start == 100 {
            let old: Vec<u64> = (0..50).collect();
            store.remove(&old).unwrap();
        }
    }
    let open = (!closed).then_some(store);
    let bytes = fs::read(path).unwrap();
    drop(open);
    bytes
}

/// Which of the messages of `sample` lie whole in the file.
fn whole(bytes: &[u8]) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == 0x92) {
        rest = &rest[at..];
        if rest.starts_with(b"\x92hangup\x1b") && rest.len() >= 60 {
            let number = u64::from_le_bytes(rest[16..24].try_into().unwrap());
            if (50..200).contains(&number) {
                let content = message(number);
                let sound = rest[60..].starts_with(&content)
                    && rest[52..56] == (content.len() as u32).to_le_bytes()
                    && rest[56..60] == crc32(&[&rest[8..56], &content[..]].concat()).to_le_bytes();
                found.extend(sound.then_some(number));
            }
        }
        rest = &rest[1..];
    }
    found
}

/// Opens a damaged file: it is sound, or it is refused and untouched, and all that is whole is salvaged.
fn judge(directory: &Directory, bytes: &[u8], what: &str) -> &'static str {
    let path = directory.file();
    for name in directory.names() {
        fs::remove_file(directory.0.join(name)).unwrap();
    }
    fs::write(&path, bytes).unwrap();
    let want: BTreeMap<u64, Bytes> = batch(50..200).into_iter().collect();
    let error = match DiskStore::open(&path, Fsync::Never) {
        Ok(mut store) => {
            let recovered: BTreeMap<u64, Bytes> = store.recover().unwrap().into_iter().collect();
            assert!(recovered == want, "{what}: silently {:?}", recovered.keys());
            assert_eq!(store.next_number().unwrap(), 200, "{what}");
            return "sound";
        }
        Err(error) => error,
    };
    assert!(fs::read(&path).unwrap() == bytes, "{what}: changed");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    let StoreProblem::Damaged { .. } = error.problem() else {
        let none_left = whole(bytes).is_empty();
        assert!(
            matches!(error.problem(), StoreProblem::NotAStore) && none_left,
            "{what}: {error}"
        );
        return "nothing left";
    };
    let (mut store, salvage) = DiskStore::salvage(&path, Fsync::Never).unwrap();
    let Salvage::Salvaged {
        messages, damaged, ..
    } = salvage
    else {
        panic!("{what}: {salvage:?}")
    };
    assert!(fs::read(damaged).unwrap() == bytes, "{what}: changed");
    let recovered = store.recover().unwrap();
    assert_eq!(recovered.len(), messages, "{what}");
    assert!(recovered.is_sorted_by_key(|(number, _)| *number));
    for (number, found) in &recovered {
        assert!(*found == message(*number), "{what}: {number} is changed");
    }
    let recovered: BTreeMap<u64, Bytes> = recovered.into_iter().collect();
    for number in whole(bytes) {
        assert!(recovered.contains_key(&number), "{what}: {number} is lost");
    }
    assert!(store.next_number().unwrap() > 200, "{what}");
    "salvaged"
}

#[test]
fn damage_is_told_and_what_is_whole_is_salvaged() {
    let directory = Directory::new("damage");
    let mut random = fastrand::Rng::with_seed(0x9e37_79b9_7f4a_7c15);
    let mut results: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let rounds = std::env::var("HANGUP_DAMAGE").map_or(1, |rounds| rounds.parse().unwrap());
    for closed in [true, false] {
        let sample = sample(&directory.0.join("sample"), closed);
        assert_eq!(judge(&directory, &sample, "intact"), "sound");
        let mut judge = |bytes: &[u8], kind, place| {
            let what = format!("{kind} at {place} of {}, closed: {closed}", sample.len());
            *results
                .entry((kind, judge(&directory, bytes, &what)))
                .or_default() += 1;
        };
        for _ in 0..rounds {
            for place in (0..320).step_by(4) {
                let place = place + random.usize(..4);
                let mut bytes = sample.clone();
                bytes[place] ^= 1 << random.usize(..8);
                judge(&bytes, "a bit flipped in the header", place);
            }
            for _ in 0..40 {
                let place = random.usize(..sample.len());
                let mut bytes = sample.clone();
                bytes[place] ^= 1 << random.usize(..8);
                judge(&bytes, "a bit flipped", place);
            }
            for _ in 0..15 {
                let place = random.usize(..sample.len()) & !4095;
                let mut bytes = sample.clone();
                let end = bytes.len().min(place + 4096);
                bytes[place..end].fill(0);
                judge(&bytes, "a page zeroed", place);
            }
            for _ in 0..10 {
                let place = random.usize(..sample.len());
                judge(&sample[..place], "cut", place);
            }
            for _ in 0..15 {
                let place = random.usize(..sample.len());
                let mut bytes = sample.clone();
                bytes[place..].fill(0);
                judge(&bytes, "zero from", place);
            }
        }
    }
    for ((kind, result), count) in results {
        println!("{kind}: {result}: {count}");
    }
}
