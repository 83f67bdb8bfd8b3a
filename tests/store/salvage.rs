//! Salvage cannot be fooled: not by damage, and not by a message that looks like part of a store.

use super::crc32::crc32;
use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Salvage, Store, StoreProblem};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

#[derive(Debug, Clone)]
enum Content {
    Plain {
        size: usize,
        fill: u8,
    },
    /// A frame of this very file, with another number.
    Frame {
        number: u64,
        floor: u64,
        before: usize,
    },
    /// The file as it was.
    Copy,
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Content>),
    /// Part of what is held, in thousandths.
    Remove(u16),
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index),
    Cut(prop::sample::Index),
    Garbage(prop::sample::Index, u64),
}

fn content() -> impl Strategy<Value = Content> {
    let number = prop_oneof![Just(0), 0..40u64, Just(1_000_000), Just(u64::MAX)];
    prop_oneof![
        4 => (0..4000usize, any::<u8>()).prop_map(|(size, fill)| Content::Plain { size, fill }),
        2 => (number.clone(), number, 0..6000usize)
            .prop_map(|(number, floor, before)| Content::Frame { number, floor, before }),
        1 => Just(Content::Copy),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => vec(content(), 1..6).prop_map(Step::Append),
        1 => (0..1000u16).prop_map(Step::Remove),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        3 => (place(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => place().prop_map(Damage::Zero),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), any::<u64>()).prop_map(|(at, seed)| Damage::Garbage(at, seed)),
    ]
}

/// A whole frame, made by somebody who has read the file.
fn planted(file: &[u8], number: u64, floor: u64) -> Vec<u8> {
    let mut frame = b"\x92hangup\x1b".to_vec();
    frame.extend(&file[20..28]);
    for field in [number, (1 << 60) - 1, floor, 0] {
        frame.extend(field.to_le_bytes());
    }
    let message = b"forged";
    frame.extend(0_u32.to_le_bytes());
    frame.extend((message.len() as u32).to_le_bytes());
    let sum = crc32(&[&frame[8..], message].concat());
    frame.extend(sum.to_le_bytes());
    frame.extend(message);
    frame
}

impl Content {
    fn bytes(&self, file: &[u8]) -> Bytes {
        match *self {
            Self::Plain { size, fill } => vec![fill; size].into(),
            Self::Frame {
                number,
                floor,
                before,
            } => {
                let mut message = vec![b'.'; before];
                message.extend(planted(file, number, floor));
                message.resize(message.len() + before, b'.');
                message.into()
            }
            Self::Copy => Bytes::copy_from_slice(&file[..file.len().min(60_000)]),
        }
    }
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Zero(at) => {
                let start = at.index(bytes.len()) & !4095;
                let end = bytes.len().min(start + 4096);
                bytes[start..end].fill(0);
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Garbage(at, seed) => {
                let start = at.index(bytes.len());
                let end = bytes.len().min(start + 3000);
                fastrand::Rng::with_seed(*seed).fill(&mut bytes[start..end]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("HANGUP_DAMAGE").map_or(60, |rounds| rounds.parse::<u32>().unwrap() * 60),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_salvaged_was_sent(steps in vec(step(), 1..12), damages in vec(damage(), 1..4)) {
        let directory = Directory::new("salvage");
        let path = directory.file();
        let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
        let mut sent = BTreeMap::new();
        let mut held = BTreeSet::new();
        for step in &steps {
            match step {
                Step::Append(contents) => {
                    let file = fs::read(&path).unwrap();
                    let batch: Vec<(u64, Bytes)> = (sent.len() as u64..)
                        .zip(contents.iter().map(|content| content.bytes(&file)))
                        .collect();
                    store.append(&batch).unwrap();
                    held.extend(batch.iter().map(|(number, _)| *number));
                    sent.extend(batch);
                }
                Step::Remove(part) => {
                    let count = held.len() * usize::from(*part) / 1000;
                    let numbers: Vec<u64> = held.iter().copied().take(count).collect();
                    store.remove(&numbers).unwrap();
                    held.retain(|number| !numbers.contains(number));
                }
            }
        }
        drop(store);
        let sound = fs::read(&path).unwrap();
        // Which bytes each held message has in the file is not known; a message is whole if no damage hits
        // anything at all. So what is compared is that all that is found was sent, and all of it if the file is sound.
        let mut bytes = sound.clone();
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        fs::write(&path, &bytes).unwrap();
        let (mut store, salvage) = match DiskStore::salvage(&path, Fsync::Never) {
            Ok(salvaged) => salvaged,
            Err(error) => {
                prop_assert!(matches!(error.problem(), StoreProblem::NotAStore), "{error}");
                return Ok(());
            }
        };
        let found = store.recover().unwrap();
        for (number, message) in &found {
            prop_assert_eq!(sent.get(number), Some(message), "{}", number);
        }
        if salvage == Salvage::Sound {
            let numbers: BTreeSet<u64> = found.iter().map(|(number, _)| *number).collect();
            prop_assert_eq!(numbers, held);
        }
        let next = store.next_number().unwrap();
        prop_assert!(next >= sent.len() as u64 || salvage != Salvage::Sound);
        store.append(&[(next, Bytes::from("after"))]).unwrap();
    }
}

/// A message held a frame with the number 1 000 000 and the floor 1 000 000. With one bit of the message
/// flipped, the salvage took the frame for one of the store, and dropped the 49 others.
#[test]
fn a_planted_frame_is_not_taken_for_a_message() {
    let directory = Directory::new("planted");
    let path = directory.file();
    let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
    let file = fs::read(&path).unwrap();
    let mut evil = b"hello ".to_vec();
    evil.resize(5000, b'.');
    evil.extend(planted(&file, 1_000_000, 1_000_000));
    evil.resize(9000, b'.');
    let mut batch: Vec<_> = (0..50_u8)
        .map(|number| (u64::from(number), Bytes::from(vec![number; 500])))
        .collect();
    batch[10].1 = evil.into();
    store.append(&batch).unwrap();
    drop(store);

    let mut bytes = fs::read(&path).unwrap();
    // The planted bytes are nowhere in the file: they are masked.
    assert!(!bytes.windows(6).any(|bytes| bytes == b"forged"));
    let at = bytes
        .windows(500)
        .position(|bytes| bytes == [20; 500])
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut store, _) = DiskStore::salvage(&path, Fsync::Never).unwrap();
    batch.remove(20);
    assert_eq!(store.recover().unwrap(), batch);
}

/// A whole frame of the format before. It carries no number of a file, so anybody can make one.
fn planted_before(number: u64) -> Vec<u8> {
    let mut frame = b"\x91hangup\x1b".to_vec();
    frame.extend(number.to_le_bytes());
    frame.extend(0_u64.to_le_bytes());
    let message = b"forged";
    frame.extend((message.len() as u32).to_le_bytes());
    let sum = crc32(&[&frame[8..], message].concat());
    frame.extend(sum.to_le_bytes());
    frame.extend(message);
    frame
}

/// A salvage that finds no whole frame looks for frames of the format before, because the damage may be in the first
/// bytes, which tell the formats apart. A message could contain one: with the only message damaged, it was returned in
/// its place. Such a message is masked now.
#[test]
fn a_planted_frame_of_the_format_before_is_not_taken_for_a_message() {
    for headless in [false, true] {
        let directory = Directory::new("planted-before");
        let path = directory.file();
        let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
        let mut evil = b"hello ".to_vec();
        evil.extend(planted_before(7));
        store.append(&[(0, evil.into())]).unwrap();
        drop(store);

        let mut bytes = fs::read(&path).unwrap();
        let head = bytes
            .windows(8)
            .position(|bytes| bytes == b"\x92hangup\x1b")
            .unwrap();
        // The number of the message.
        bytes[head + 16] ^= 1;
        if headless {
            bytes[..4096].fill(0);
        }
        fs::write(&path, &bytes).unwrap();
        match DiskStore::salvage(&path, Fsync::Never) {
            Ok((mut store, _)) => assert_eq!(store.recover().unwrap(), []),
            Err(error) => assert!(matches!(error.problem(), StoreProblem::NotAStore)),
        }
    }
}

/// The database begins with the same bytes as a file of the format before.
#[test]
fn a_page_of_the_database_over_the_first_page_is_damage() {
    let directory = Directory::new("first-page");
    let path = directory.file();
    let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
    store.append(&[(0, Bytes::from("door opened"))]).unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes.copy_within(4096..8192, 0);
    fs::write(&path, &bytes).unwrap();

    let error = DiskStore::open(&path, Fsync::Never).unwrap_err();
    let problem = error.problem();
    assert!(
        matches!(problem, StoreProblem::Damaged { whole: 1, .. }),
        "{problem:?}"
    );
    let (mut store, salvage) = DiskStore::salvage(&path, Fsync::Never).unwrap();
    assert!(matches!(salvage, Salvage::Salvaged { messages: 1, .. }));
    assert_eq!(store.recover().unwrap(), [(0, Bytes::from("door opened"))]);
}
