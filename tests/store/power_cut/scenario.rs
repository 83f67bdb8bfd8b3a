//! What a program does with a store, and what it may expect to find after a power cut.

use super::recorder::{Failure, Recorder, Step};
use bytes::Bytes;
use hangup::outbox::{Store, StoreError, StoreOptions, StoreProblem};
use std::collections::BTreeSet;
use std::io;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Append(Vec<u64>),
    Appended(Vec<u64>),
    /// Handed back: it must not be found.
    Refused(Vec<u64>),
    /// Handed back with "outcome unknown".
    Unknown,
    Remove(Vec<u64>),
    Removed(Vec<u64>),
    /// Neither done nor surely undone.
    RemoveFailed,
}

pub(super) struct Scenario {
    pub(super) steps: Vec<Step>,
    pub(super) events: Vec<Event>,
    /// Steps of making the store.
    pub(super) created: usize,
    /// What a restart without a power cut finds.
    pub(super) bytes: Vec<u8>,
}

pub(super) fn message(number: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(number);
    let size = match random.u32(0..20) {
        0 => random.usize(20_000..120_000),
        1..=4 => random.usize(3000..9000),
        _ => random.usize(8..600),
    };
    let pattern: Vec<u8> = (0..251).map(|at| (number * 31 + at * 7) as u8).collect();
    let mut message = pattern.repeat(size / pattern.len() + 1);
    message.truncate(size);
    message[..8].copy_from_slice(&number.to_le_bytes());
    message.into()
}

/// Appends and removes, `count` times in all.
pub(super) fn play(seed: u64, count: usize, failure: Failure) -> Scenario {
    let mut random = fastrand::Rng::with_seed(seed);
    let recorder = Recorder::default();
    let mut store = StoreOptions::new().open_backend(recorder.clone()).unwrap();
    let created = recorder.steps().len();
    recorder.fail(failure);
    let mut events = Vec::new();
    let mut happen = |event| {
        recorder.event(events.len());
        events.push(event);
    };
    let (mut held, mut next) = (BTreeSet::new(), 0);
    for _ in 0..count {
        if random.u32(0..3) < 2 || held.is_empty() {
            let numbers: Vec<u64> = (next..next + random.u64(1..12)).collect();
            next += numbers.len() as u64;
            let batch: Vec<_> = numbers.iter().map(|&n| (n, message(n))).collect();
            happen(Event::Append(numbers.clone()));
            match store.append(&batch) {
                Ok(()) => {
                    held.extend(numbers.iter().copied());
                    happen(Event::Appended(numbers));
                }
                Err(error) if is_unknown(&error) => happen(Event::Unknown),
                Err(_) => happen(Event::Refused(numbers)),
            }
        } else {
            let all: Vec<u64> = held.iter().copied().collect();
            let some = random.usize(1..=all.len());
            let numbers = match random.bool() {
                true => all[..some].to_vec(),
                false => (0..some).map(|_| all[random.usize(0..all.len())]).collect(),
            };
            happen(Event::Remove(numbers.clone()));
            for number in &numbers {
                held.remove(number);
            }
            match store.remove(&numbers) {
                Ok(()) => happen(Event::Removed(numbers)),
                Err(_) => happen(Event::RemoveFailed),
            }
        }
        if random.u32(0..12) == 0 {
            // What fails here loses nothing.
            let _ = store.compact();
        }
    }
    let steps = recorder.steps();
    let bytes = recorder.bytes();
    Scenario {
        steps,
        events,
        created,
        bytes,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    let error: Option<&StoreError> = error.get_ref().and_then(|error| error.downcast_ref());
    let unknown = matches!(
        error.map(StoreError::problem),
        Some(StoreProblem::OutcomeUnknown { .. })
    );
    assert_eq!(
        unknown,
        error.is_some_and(|error| error.to_string().contains("outcome unknown"))
    );
    unknown
}

/// What must be found after these events, and what may be.
fn expected(events: &[Event]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::Append(numbers) => may.extend(numbers),
            Event::Appended(numbers) => must.extend(numbers),
            Event::Unknown | Event::RemoveFailed => {}
            Event::Remove(numbers) => must.retain(|number| !numbers.contains(number)),
            Event::Refused(numbers) | Event::Removed(numbers) => {
                may.retain(|number| !numbers.contains(number));
            }
        }
    }
    (must, may)
}

/// Opens an image; returns what is wrong with it, or the steps of its recovery.
pub(super) fn judge(image: Vec<u8>, events: &[Event]) -> Result<Vec<Step>, String> {
    let recorder = Recorder::new(image);
    let mut store = StoreOptions::new()
        .open_backend(recorder.clone())
        .map_err(|error| format!("refused: {error}"))?;
    let steps = recorder.steps();
    let found = store
        .recover()
        .map_err(|error| format!("unreadable: {error}"))?;
    let (must, may) = expected(events);
    let numbers: Vec<u64> = found.iter().map(|(number, _)| *number).collect();
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(format!("out of order or twice: {numbers:?}"));
    }
    let numbers: BTreeSet<u64> = numbers.into_iter().collect();
    if let Some(number) = must.difference(&numbers).next() {
        return Err(format!("lost: {number}"));
    }
    if let Some(number) = numbers.difference(&may).next() {
        return Err(format!("found though removed or handed back: {number}"));
    }
    for (number, content) in &found {
        if *content != message(*number) {
            return Err(format!("changed: {number}"));
        }
    }
    let next = store.next_number().map_err(|error| error.to_string())?;
    if numbers.last().is_some_and(|&last| next <= last) {
        return Err(format!("the next number is {next}"));
    }
    // It goes on.
    store
        .append(&[(next, Bytes::from_static(b"after"))])
        .map_err(|error| format!("does not go on: {error}"))?;
    Ok(steps)
}
