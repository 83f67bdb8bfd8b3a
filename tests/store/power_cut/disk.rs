//! What a disk may have when the power fails.

use super::recorder::{Step, write};
use super::{PAGE, SECTOR};

/// A disk, and what was written to it since the last barrier.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) durable: Vec<u8>,
    pub(super) epoch: Vec<Step>,
}

impl Disk {
    pub(super) fn after(steps: &[Step]) -> Self {
        let mut disk = Self::default();
        for step in steps {
            disk.add(step);
        }
        disk
    }

    /// The disk of `image` after some steps of its recovery.
    pub(super) fn after_recovery(image: Vec<u8>, steps: &[Step]) -> Self {
        let mut disk = Self {
            durable: image,
            epoch: Vec::new(),
        };
        for step in steps {
            disk.add(step);
        }
        disk
    }

    pub(super) fn add(&mut self, step: &Step) {
        match step {
            Step::Event(_) => {}
            Step::Sync => {
                self.durable = Part::All.image(&self.durable, &self.epoch);
                self.epoch.clear();
            }
            Step::Cut(image) => {
                self.durable.clone_from(image);
                self.epoch.clear();
            }
            step => self.epoch.push(step.clone()),
        }
    }

    /// One image that a power cut may leave now.
    pub(super) fn cut(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let parts = Part::of(&self.epoch, random);
        parts[random.usize(0..parts.len())].image(&self.durable, &self.epoch)
    }
}

/// Which part of what was not synced has come to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Nothing,
    All,
    Last,
    Headers,
    Growth,
    AllButGrowth,
    Subset(u64),
    Torn(u64),
}

impl Part {
    /// All that are tried at one moment: every subset of few steps, some of many.
    pub(super) fn of(epoch: &[Step], random: &mut fastrand::Rng) -> Vec<Self> {
        let mut parts = vec![Self::All];
        if epoch.is_empty() {
            return parts;
        }
        parts.extend([Self::Last, Self::Headers]);
        if epoch.iter().any(|step| matches!(step, Step::Size(_))) {
            parts.extend([Self::Growth, Self::AllButGrowth]);
        }
        match epoch.len() {
            count @ 2..=4 => parts.extend((1..(1 << count) - 1).map(Self::Subset)),
            _ => parts.extend([Self::Subset(random.u64(..)), Self::Subset(random.u64(..))]),
        }
        parts.push(Self::Torn(random.u64(..)));
        parts
    }

    pub(super) fn image(self, durable: &[u8], epoch: &[Step]) -> Vec<u8> {
        let seed = match self {
            Self::Subset(seed) | Self::Torn(seed) => seed,
            _ => 0,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut image = durable.to_vec();
        // Data beyond an end of the file that was not moved yet is not in the file.
        let mut end = durable.len();
        for (at, step) in epoch.iter().enumerate() {
            let kept = match (self, step) {
                (Self::Nothing, _) => false,
                (Self::All | Self::Torn(_), _) => true,
                (Self::Last, _) => at + 1 == epoch.len(),
                (Self::Headers, step) => {
                    matches!(step, Step::Write(offset, _) if *offset < 2 * PAGE as u64)
                }
                (Self::Growth, step) => matches!(step, Step::Size(_)),
                (Self::AllButGrowth, step) => !matches!(step, Step::Size(_)),
                (Self::Subset(chosen), _) if epoch.len() <= 4 => chosen >> at & 1 == 1,
                (Self::Subset(_), _) => random.bool(),
            };
            match step {
                Step::Size(size) if kept => {
                    end = *size as usize;
                    image.resize(end, 0);
                }
                Step::Write(offset, data) if kept => match self {
                    Self::Torn(_) => {
                        for (sector, data) in sectors(*offset, data) {
                            if random.u32(0..4) > 0 {
                                write(&mut image, sector, data);
                            }
                        }
                    }
                    _ => write(&mut image, *offset, data),
                },
                _ => {}
            }
        }
        image.resize(end, 0);
        image
    }
}

/// The parts of a write, by the sectors of the disk that they are in.
fn sectors(offset: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first = SECTOR - offset as usize % SECTOR;
    let (head, rest) = data.split_at(first.min(data.len()));
    let rest_at = offset + head.len() as u64;
    let rest = rest.chunks(SECTOR).enumerate();
    let rest = rest.map(move |(sector, data)| (rest_at + (sector * SECTOR) as u64, data));
    std::iter::once((offset, head)).chain(rest)
}
