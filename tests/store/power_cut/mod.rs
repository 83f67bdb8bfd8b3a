//! The power fails at any moment: whatever the disk then has, the store opens and has what it accepted.
//!
//! A disk may have written any part of what was not synced yet, in any order, in sectors of 512 bytes, the
//! growth of the file before or after the data. Each such image is opened, at each moment of a scenario; and
//! so is what a second power cut leaves, in the recovery from the first one.
//!
//! In redb 2.6, and in redb 4 up to 4.1, 18 of 988 images could not be opened: the header that knew of a larger
//! file was on the disk before the growth was.
//!
//! `HANGUP_POWER_CUTS` is the number of images, and `HANGUP_POWER_CUT_SEED` the first scenario.

mod disk;
mod event;
mod message;
pub(super) mod recorder;
mod scenario;

use disk::{Disk, Part};
use event::Event;
use recorder::{Failure, Step, write};
use scenario::{Scenario, play};
use std::collections::{BTreeMap, BTreeSet};

const SECTOR: usize = 512;
const PAGE: usize = 4096;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[derive(Debug, Default)]
struct Tally {
    images: u64,
    in_recovery: u64,
    faults: BTreeMap<String, u64>,
}

impl Tally {
    fn fault(&mut self, fault: &str) {
        let kind = fault.split(char::is_numeric).next().unwrap();
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }
}

/// Cuts the power at each step of the scenario, until there are `most` images.
fn cut_everywhere(scenario: &Scenario, seed: u64, most: u64, tally: &mut Tally) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut disk, mut events) = (Disk::default(), &scenario.events[..0]);
    for (at, step) in scenario.steps.iter().enumerate() {
        disk.add(step);
        if let Step::Event(event) = step {
            events = &scenario.events[..=*event];
        }
        if at < scenario.created || matches!(step, Step::Event(_)) && disk.epoch.is_empty() {
            continue;
        }
        for part in Part::of(&disk.epoch, &mut random) {
            if tally.images >= most {
                return;
            }
            let image = part.image(&disk.durable, &disk.epoch);
            tally.images += 1;
            match scenario.judge(image.clone(), events) {
                Ok(recovery) if tally.images.is_multiple_of(10) => {
                    let cut = random.usize(0..=recovery.len());
                    let disk = Disk::after_recovery(image, &recovery[..cut]);
                    cut_in_recovery(scenario, &disk, events, &mut random, tally);
                }
                Ok(_) => {}
                Err(fault) => {
                    println!("scenario {seed}, step {at}, {part:?}: {fault}");
                    tally.fault(&fault);
                }
            }
        }
    }
}

fn cut_in_recovery(
    scenario: &Scenario,
    disk: &Disk,
    events: &[Event],
    random: &mut fastrand::Rng,
    tally: &mut Tally,
) {
    for part in [
        Part::Nothing,
        Part::All,
        Part::Subset(random.u64(..)),
        Part::Torn(random.u64(..)),
    ] {
        tally.in_recovery += 1;
        if let Err(fault) = scenario.judge(part.image(&disk.durable, &disk.epoch), events) {
            println!("in the recovery, {part:?}: {fault}");
            tally.fault(&fault);
        }
    }
}

#[test]
fn every_image_of_a_power_cut_opens_and_has_what_was_accepted() {
    let most = number("HANGUP_POWER_CUTS", 600);
    let mut seed = number("HANGUP_POWER_CUT_SEED", 1);
    let mut tally = Tally::default();
    while tally.images < most {
        let scenario = play(seed, 40, Failure::default());
        // Several scenarios even in a short run.
        let most = most.min(tally.images + most.div_ceil(4));
        cut_everywhere(&scenario, seed, most, &mut tally);
        seed += 1;
    }
    println!("{tally:?}");
    assert_eq!(tally.faults, BTreeMap::new());
}

/// What the disk and the page cache have after the steps, if each failed sync loses what was dirty, but for
/// some pages.
fn after_failed_syncs(
    steps: &[Step],
    random: &mut fastrand::Rng,
    mut look: impl FnMut(usize, &[u8]),
) {
    let (mut cache, mut disk) = (Vec::new(), Vec::new());
    let mut dirty = BTreeSet::new();
    let write_back = |cache: &[u8], disk: &mut Vec<u8>, page: usize| {
        let range = page * PAGE..(page * PAGE + PAGE).min(cache.len());
        if range.start < range.end {
            disk[range.clone()].copy_from_slice(&cache[range]);
        }
    };
    for step in steps {
        match step {
            Step::Write(offset, data) => {
                write(&mut cache, *offset, data);
                let end = *offset as usize + data.len();
                dirty.extend(*offset as usize / PAGE..end.div_ceil(PAGE));
            }
            Step::Size(size) => cache.resize(*size as usize, 0),
            Step::Sync | Step::FailedSync => {
                disk.resize(cache.len(), 0);
                let lost = matches!(step, Step::FailedSync);
                for page in std::mem::take(&mut dirty) {
                    if !lost || random.bool() {
                        write_back(&cache, &mut disk, page);
                    }
                }
            }
            Step::Event(event) => look(*event, &disk),
            Step::Cut(_) => unreachable!("a scenario with failures has no power cuts"),
        }
    }
}

/// 33 of 88 single failures had messages handed back and delivered by the next start.
#[test]
fn what_send_said_is_true_after_a_failure() {
    let runs = number("HANGUP_POWER_CUTS", 600) / 10;
    let mut seed = number("HANGUP_POWER_CUT_SEED", 1);
    let mut faults = BTreeMap::<String, u64>::new();
    let (mut played, mut unknown, mut refused) = (0, 0, 0);
    'runs: loop {
        for first in 0.. {
            if played == runs {
                break 'runs;
            }
            let mut random = fastrand::Rng::with_seed(seed << 32 | first as u64);
            let failure = Failure {
                calls: first..first + [1, 1, 2, 5, 20][random.usize(0..5)],
                syncs_only: random.bool(),
            };
            let scenario = play(seed, 25, failure.clone());
            let failed = |event: &&Event| {
                matches!(event, Event::Refused(_) | Event::Unknown | Event::Failed)
            };
            if !scenario.events.iter().any(|event| failed(&event)) && first > 40 {
                break;
            }
            played += 1;
            let count = |kind: fn(&Event) -> bool| {
                scenario.events.iter().filter(|event| kind(event)).count()
            };
            refused += count(|event| matches!(event, Event::Refused(_)));
            unknown += count(|event| matches!(event, Event::Unknown));
            let mut check = |what: &str, image: &[u8], events: &[Event]| {
                if let Err(fault) = scenario.judge(image.to_vec(), events) {
                    println!("scenario {seed}, {failure:?}, {what}: {fault}");
                    let kind = fault.split(char::is_numeric).next().unwrap();
                    *faults.entry(format!("{what}: {kind}")).or_default() += 1;
                }
            };
            check("a restart", &scenario.bytes, &scenario.events);
            after_failed_syncs(&scenario.steps, &mut random, |event, disk| {
                let events = &scenario.events[..=event];
                if matches!(
                    events.last(),
                    Some(Event::Appended(_) | Event::Refused(_) | Event::Unknown | Event::Found(_))
                ) {
                    check("a power cut", disk, events);
                }
            });
        }
        seed += 1;
    }
    println!(
        "{played} scenarios with failures, {refused} batches refused, {unknown} unknown: {faults:?}"
    );
    assert!(refused > 0 && unknown > 0);
    assert_eq!(faults, BTreeMap::new());
}
