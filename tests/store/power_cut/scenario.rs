//! What a program does with a store through several lives: restarts, kills and power cuts lie between them.

use super::disk::Disk;
use super::event::{Event, Expected, Found};
use super::message::{Sizes, number_of};
use super::recorder::{Failure, Recorder, Step};
use bytes::Bytes;
use hangup::outbox::{DiskStore, Store, StoreError, StoreOptions, StoreProblem};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

pub(super) struct Scenario {
    pub(super) sizes: Sizes,
    pub(super) steps: Vec<Step>,
    pub(super) events: Vec<Event>,
    /// Steps of making the store.
    pub(super) created: usize,
    /// What a restart without a power cut finds.
    pub(super) bytes: Vec<u8>,
}

/// How the program ends and begins between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Drop,
    Kill,
    PowerCut,
}

struct Player {
    random: fastrand::Rng,
    sizes: Sizes,
    recorder: Recorder,
    store: Option<DiskStore>,
    events: Vec<Event>,
    held: BTreeSet<u64>,
    buried: BTreeSet<u64>,
    next: u64,
    /// How often each number was given: a number that was handed back may be given once more after a restart.
    versions: BTreeMap<u64, u64>,
}

/// Makes `count` calls.
pub(super) fn play(seed: u64, count: usize, failure: Failure) -> Scenario {
    let recorder = Recorder::default();
    let store = StoreOptions::new().open_backend(recorder.clone()).unwrap();
    let created = recorder.steps().len();
    let fails = !failure.calls.is_empty();
    recorder.fail(failure);
    let mut player = Player {
        random: fastrand::Rng::with_seed(seed),
        sizes: Sizes::of(seed),
        recorder,
        store: Some(store),
        events: Vec::new(),
        held: BTreeSet::new(),
        buried: BTreeSet::new(),
        next: 0,
        versions: BTreeMap::new(),
    };
    for _ in 0..count {
        player.call();
        if player.random.u32(0..12) == 0 {
            // After a failed call the disk is not what the steps say, see `after_failed_syncs`.
            let end = match player.random.u32(0..3) {
                0 if !fails => End::PowerCut,
                1 => End::Kill,
                _ => End::Drop,
            };
            player.begin_again(end);
        }
    }
    Scenario {
        sizes: player.sizes,
        steps: player.recorder.steps(),
        bytes: player.recorder.bytes(),
        events: player.events,
        created,
    }
}

impl Player {
    fn happen(&mut self, event: Event) {
        self.recorder.event(self.events.len());
        self.events.push(event);
    }

    fn store(&mut self) -> &mut DiskStore {
        self.store.as_mut().unwrap()
    }

    fn call(&mut self) {
        let kind = match self.held.is_empty() {
            true => 0,
            false => self.random.u32(0..24),
        };
        match kind {
            0..=15 => self.append(),
            16..=21 => self.remove(),
            22 => self.bury(),
            _ if self.buried.is_empty() => {
                // What fails here loses nothing.
                let _ = self.store().compact();
            }
            _ => self.forget(),
        }
    }

    fn append(&mut self) {
        let count = self.sizes.batch(&mut self.random);
        let mut keys = Vec::new();
        for number in self.next..self.next + count {
            let version = self.versions.entry(number).or_default();
            keys.push(*version << 32 | number);
            *version += 1;
        }
        self.next += count;
        let message = |&key: &u64| (number_of(key), self.sizes.message(key));
        let batch: Vec<(u64, Bytes)> = keys.iter().map(message).collect();
        self.happen(Event::Append(keys.clone()));
        match self.store().append(&batch) {
            Ok(()) => {
                self.held.extend(&keys);
                self.happen(Event::Appended(keys));
            }
            Err(error) if is_unknown(&error) => self.happen(Event::Unknown),
            Err(_) => self.happen(Event::Refused(keys)),
        }
    }

    fn remove(&mut self) {
        let all: Vec<u64> = self.held.iter().copied().collect();
        let some = self.random.usize(1..=all.len());
        let keys = match self.random.bool() {
            true => all[..some].to_vec(),
            false => (0..some)
                .map(|_| all[self.random.usize(0..all.len())])
                .collect(),
        };
        self.held.retain(|key| !keys.contains(key));
        let numbers: Vec<u64> = keys.iter().map(|&key| number_of(key)).collect();
        self.happen(Event::Remove(keys.clone()));
        let event = match self.store().remove(&numbers) {
            Ok(()) => Event::Removed(keys),
            Err(_) => Event::Failed,
        };
        self.happen(event);
    }

    fn bury(&mut self) {
        let place = self.random.usize(0..self.held.len());
        let key = *self.held.iter().nth(place).unwrap();
        self.held.remove(&key);
        self.happen(Event::Bury(key));
        let event = match self.store().bury(number_of(key), "a reason") {
            Ok(()) => {
                self.buried.insert(key);
                Event::Buried(key)
            }
            Err(_) => Event::Failed,
        };
        self.happen(event);
    }

    fn forget(&mut self) {
        let Some(key) = self.buried.pop_first() else {
            return;
        };
        self.happen(Event::Forget(key));
        let event = match self.store().remove_dead_letters(&[number_of(key)]) {
            Ok(()) => Event::Forgotten(key),
            Err(_) => Event::Failed,
        };
        self.happen(event);
    }

    /// Ends the program, and starts it again. From then on what it finds is what there is.
    fn begin_again(&mut self, end: End) {
        if end == End::PowerCut {
            let image = Disk::after(&self.recorder.steps()).cut(&mut self.random);
            self.recorder = self.recorder.cut(image);
        }
        if end == End::Kill {
            self.recorder = self.recorder.copy();
        }
        // What the store of a killed program writes goes into the recorder of before.
        self.store = None;
        let mut attempts = 0;
        let store = loop {
            match StoreOptions::new().open_backend(self.recorder.clone()) {
                Ok(store) => break store,
                // A call has failed.
                Err(error) => assert!(attempts < 30, "{error}"),
            }
            attempts += 1;
        };
        self.store = Some(store);
        let sizes = self.sizes;
        let found = Found::of(self.store(), sizes).unwrap();
        let expected = Expected::after(&self.events);
        found.check(&expected).unwrap();
        self.held = found.messages.clone();
        self.buried = found.dead_letters.clone();
        self.next = self.store().next_number().unwrap();
        self.happen(Event::Found(found));
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

impl Scenario {
    /// Opens an image; returns what is wrong with it, or the steps of its recovery.
    pub(super) fn judge(&self, image: Vec<u8>, events: &[Event]) -> Result<Vec<Step>, String> {
        let recorder = Recorder::new(image);
        let mut store = StoreOptions::new()
            .open_backend(recorder.clone())
            .map_err(|error| format!("refused: {error}"))?;
        let steps = recorder.steps();
        let found = Found::of(&mut store, self.sizes)?;
        found.check(&Expected::after(events))?;
        let next = store.next_number().map_err(|error| error.to_string())?;
        if found.messages.iter().any(|&key| next <= number_of(key)) {
            return Err(format!("the next number is {next}"));
        }
        // It goes on.
        store
            .append(&[(next, Bytes::from_static(b"after"))])
            .map_err(|error| format!("does not go on: {error}"))?;
        Ok(steps)
    }
}
