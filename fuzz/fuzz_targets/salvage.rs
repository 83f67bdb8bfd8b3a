//! Damaged files of the outbox's store, whose messages look like parts of a store.
//!
//! A history of appends, removals and dead letters makes a sound file. Its messages may contain frames of the present
//! and of the previous format. Then the file is damaged. Checked of what a salvage returns:
//!
//! * It returns no message and no dead letter that the store had not accepted.
//! * It returns each message and each dead letter whose newest frame the damage has not changed.
//! * A file that counts as sound has the messages that were held, unless the damage is in its header, which says which
//!   commit was the last.
//! * The damaged file stays beside the new one, unchanged.
//! * The new store works: it gives a number above all others, and accepts a message that is there after it was
//!   opened again.
//!
//! The frames of the sound file are found here by a search of their own.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use hangup::outbox::{DeadLetter, DiskStore, Fsync, Salvage, Store, StoreProblem};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const PREFIX: &[u8; 8] = b"\x92hangup\x1b";
const HEAD: usize = 60;
const PAGE: usize = 4096;

/// More steps find nothing else, and take longer.
const STEPS: usize = 12;

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    damages: Vec<Damage>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Append(Vec<Content>),
    /// So many of the oldest messages, or the one at a place.
    RemoveOldest(u8),
    RemoveAt(u8),
    Bury(u8, String),
    RemoveDeadLetters,
    Compact,
    /// Closes the store and opens it again: a session of its own.
    Reopen,
}

#[derive(Arbitrary, Debug)]
enum Content {
    Plain(u16, u8),
    Bytes(Vec<u8>),
    /// A frame by somebody who has read the file.
    Present {
        number: u8,
        far: bool,
        floor: u8,
        before: u16,
    },
    Previous {
        number: u8,
        before: u16,
    },
    /// A part of the file as it is.
    Copy(u16, u16),
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Flip(Place, u8),
    ZeroPage(Place),
    Cut(Place),
    Fill(Place, u8, u16),
    /// A page that was written to the wrong place.
    CopyPage(Place, Place),
}

#[derive(Arbitrary, Debug)]
enum Place {
    Header(u16),
    /// A byte of a frame.
    Frame(u8, u16),
    Anywhere(u32),
}

impl Content {
    fn bytes(&self, file: &[u8]) -> Bytes {
        match self {
            Self::Plain(size, fill) => vec![*fill; usize::from(*size % 6000)].into(),
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::Present {
                number,
                far,
                floor,
                before,
            } => {
                let number = u64::from(*number) << if *far { 40 } else { 0 };
                let floor = u64::from(*floor).min(number);
                let mut frame = PREFIX.to_vec();
                frame.extend(file.get(20..28).unwrap_or(&[0; 8]));
                for field in [number, (1 << 60) - 1, floor, 0] {
                    frame.extend(field.to_le_bytes());
                }
                frame.extend(0_u32.to_le_bytes());
                surrounded(frame, *before)
            }
            Self::Previous { number, before } => {
                let mut frame = b"\x91hangup\x1b".to_vec();
                frame.extend(u64::from(*number).to_le_bytes());
                frame.extend(0_u64.to_le_bytes());
                surrounded(frame, *before)
            }
            Self::Copy(from, length) => {
                let from = usize::from(*from) * 16 % file.len().max(1);
                let to = file.len().min(from + usize::from(*length));
                Bytes::copy_from_slice(&file[from..to])
            }
        }
    }
}

/// Completes a frame by its length, its checksum and a message, and puts it between other bytes.
fn surrounded(mut frame: Vec<u8>, before: u16) -> Bytes {
    let message = b"forged";
    frame.extend((message.len() as u32).to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[8..]);
    hasher.update(message);
    frame.extend(hasher.finalize().to_le_bytes());
    frame.extend(message);
    let around = vec![b'.'; usize::from(before % 5000)];
    [&around[..], &frame, &around].concat().into()
}

impl Place {
    fn of(&self, length: usize, frames: &[Frame]) -> usize {
        let place = match self {
            Self::Header(at) => usize::from(*at) % PAGE,
            Self::Frame(index, at) if !frames.is_empty() => {
                let range = &frames[usize::from(*index) % frames.len()].range;
                range.start + usize::from(*at) % range.len()
            }
            Self::Frame(_, at) => usize::from(*at),
            Self::Anywhere(at) => *at as usize,
        };
        place % length
    }
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, frames: &[Frame]) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        let page = |place: &Place| {
            let start = place.of(length, frames) / PAGE * PAGE;
            start..length.min(start + PAGE)
        };
        match self {
            Self::Flip(place, bit) => bytes[place.of(length, frames)] ^= 1 << (bit % 8),
            Self::ZeroPage(place) => bytes[page(place)].fill(0),
            Self::Cut(place) => bytes.truncate(place.of(length, frames)),
            Self::Fill(place, with, count) => {
                let start = place.of(length, frames);
                let end = length.min(start + usize::from(*count));
                bytes[start..end].fill(*with);
            }
            Self::CopyPage(from, to) => {
                let (from, to) = (page(from), page(to));
                let size = from.len().min(to.len());
                bytes.copy_within(from.start..from.start + size, to.start);
            }
        }
    }
}

/// A whole frame of the sound file.
struct Frame {
    range: Range<usize>,
    number: u64,
    sequence: u64,
}

impl Frame {
    fn all(file: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(found) = memchr(file, at) {
            at = found + 1;
            if let Some(frame) = Self::at(file, found) {
                frames.push(frame);
            }
        }
        frames
    }

    fn at(file: &[u8], at: usize) -> Option<Self> {
        let head = file.get(at..at + HEAD)?;
        let field = |from: usize| u64::from_le_bytes(head[from..from + 8].try_into().unwrap());
        let half = |from: usize| u32::from_le_bytes(head[from..from + 4].try_into().unwrap());
        if !head.starts_with(PREFIX) || head[8..16] != file[20..28] {
            return None;
        }
        let range = at..at + HEAD + half(52) as usize;
        let message = file.get(at + HEAD..range.end)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[8..56]);
        hasher.update(message);
        (hasher.finalize() == half(56)).then(|| Self {
            range,
            number: field(16),
            sequence: field(24),
        })
    }
}

/// The next place of a frame's first byte.
fn memchr(file: &[u8], from: usize) -> Option<usize> {
    let at = file[from..].iter().position(|byte| *byte == PREFIX[0])?;
    Some(from + at)
}

/// What the store was told, and what it accepted.
#[derive(Default)]
struct History {
    sent: BTreeMap<u64, Bytes>,
    held: BTreeSet<u64>,
    /// Each dead letter that there ever was.
    buried: BTreeMap<u64, String>,
    dead: BTreeSet<u64>,
}

impl History {
    fn step(&mut self, step: &Step, store: &mut Option<DiskStore>, path: &Path) {
        let open = store.as_mut().unwrap();
        match step {
            Step::Append(contents) => {
                let file = fs::read(path).unwrap();
                let numbers = open.next_number().unwrap()..;
                let contents = contents.iter().take(6).map(|content| content.bytes(&file));
                let batch: Vec<(u64, Bytes)> = numbers.zip(contents).collect();
                open.append(&batch).unwrap();
                self.held.extend(batch.iter().map(|(number, _)| *number));
                self.sent.extend(batch);
            }
            Step::RemoveOldest(count) => {
                let numbers: Vec<u64> = self.held.iter().copied().take((*count).into()).collect();
                open.remove(&numbers).unwrap();
                self.held.retain(|number| !numbers.contains(number));
            }
            Step::RemoveAt(index) => {
                if let Some(number) = self.nth(*index) {
                    open.remove(&[number]).unwrap();
                    self.held.remove(&number);
                }
            }
            Step::Bury(index, reason) => {
                if let Some(number) = self.nth(*index) {
                    open.bury(number, reason).unwrap();
                    self.held.remove(&number);
                    self.dead.insert(number);
                    self.buried.insert(number, reason.clone());
                }
            }
            Step::RemoveDeadLetters => {
                let numbers: Vec<u64> = self.dead.iter().copied().collect();
                open.remove_dead_letters(&numbers).unwrap();
                self.dead.clear();
            }
            Step::Compact => open.compact().unwrap(),
            Step::Reopen => {
                drop(store.take());
                *store = Some(DiskStore::open(path, Fsync::Never).unwrap());
            }
        }
    }

    fn nth(&self, index: u8) -> Option<u64> {
        let index = usize::from(index).checked_rem(self.held.len())?;
        self.held.iter().copied().nth(index)
    }

    fn check_sent(&self, messages: &[(u64, Bytes)], letters: &[DeadLetter]) {
        for (number, message) in messages {
            assert_eq!(
                self.sent.get(number),
                Some(message),
                "message {number} was never accepted"
            );
        }
        for letter in letters {
            let number = letter.number();
            assert_eq!(
                self.sent.get(&number),
                Some(letter.message()),
                "letter {number}"
            );
            assert_eq!(
                self.buried.get(&number).map(String::as_str),
                Some(letter.reason())
            );
        }
    }
}

/// One directory for each process: libFuzzer runs one input after the other.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    // In memory, where there is such a directory: each run writes the file twice.
    let memory = Path::new("/dev/shm");
    let parent = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    let directory = parent.join(format!("hangup-fuzz-salvage-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory.join("outbox")
});

fuzz_target!(|input: Input| {
    let path = FILE.as_path();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut store = Some(DiskStore::open(path, Fsync::Never).unwrap());
    let mut history = History::default();
    for step in input.steps.iter().take(STEPS) {
        history.step(step, &mut store, path);
    }
    drop(store);

    let sound = fs::read(path).unwrap();
    let frames = Frame::all(&sound);
    let mut damaged = sound.clone();
    for damage in input.damages.iter().take(4) {
        damage.apply(&mut damaged, &frames);
    }
    // The newest frame of each number that the damage has left alone.
    let mut newest = BTreeMap::<u64, &Frame>::new();
    for frame in &frames {
        let known = newest.get(&frame.number);
        if known.is_none_or(|known| known.sequence <= frame.sequence) {
            newest.insert(frame.number, frame);
        }
    }
    let is_whole = |number: &u64| {
        let range = &newest[number].range;
        damaged.get(range.clone()) == Some(&sound[range.clone()])
    };
    let whole: BTreeSet<u64> = history.held.iter().copied().filter(is_whole).collect();
    let whole_letters: BTreeSet<u64> = history.dead.iter().copied().filter(is_whole).collect();
    fs::write(path, &damaged).unwrap();

    let (mut store, salvage) = match DiskStore::salvage(path, Fsync::Never) {
        Ok(salvaged) => salvaged,
        Err(error) => {
            assert!(
                matches!(error.problem(), StoreProblem::NotAStore),
                "{error}"
            );
            assert!(whole.is_empty() && whole_letters.is_empty(), "{error}");
            assert_eq!(fs::read(path).unwrap(), damaged);
            return;
        }
    };
    let found = store.recover().unwrap();
    let letters = store.dead_letters().unwrap();
    history.check_sent(&found, &letters);
    let numbers: BTreeSet<u64> = found.iter().map(|(number, _)| *number).collect();
    let dead: BTreeSet<u64> = letters.iter().map(DeadLetter::number).collect();
    assert!(numbers.is_disjoint(&dead));
    match &salvage {
        Salvage::Sound if damaged[..PAGE] == sound[..PAGE] => {
            assert_eq!(numbers, history.held);
            assert_eq!(dead, history.dead);
        }
        Salvage::Sound => {}
        Salvage::Salvaged {
            messages,
            dead_letters,
            damaged: aside,
            ..
        } => {
            assert!(numbers.is_superset(&whole), "{numbers:?} of {whole:?}");
            assert!(dead.is_superset(&whole_letters));
            assert_eq!((*messages, *dead_letters), (found.len(), letters.len()));
            assert_eq!(fs::read(aside).unwrap(), damaged);
        }
        _ => unreachable!("there are two results"),
    }
    let next = store.next_number().unwrap();
    assert!(numbers.union(&dead).all(|number| *number < next));
    store.append(&[(next, Bytes::from("after"))]).unwrap();
    drop(store);
    let mut store = DiskStore::open(path, Fsync::Never).unwrap();
    let mut expected = found;
    expected.push((next, Bytes::from("after")));
    assert_eq!(store.recover().unwrap(), expected);
    assert_eq!(store.dead_letters().unwrap(), letters);
});
