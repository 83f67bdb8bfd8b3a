//! The messages of a damaged file that are intact.

use super::frame::{self, Format, Kind};
use super::header::Header;
use super::legacy;
use super::scan::{self, Place};
use super::store_file::StoreFile;
use std::collections::BTreeMap;
use std::io;

/// The intact frames of a damaged file, by their numbers. Messages that were certainly removed are left out.
pub(super) struct IntactFrames {
    pub(super) places: BTreeMap<u64, Place>,
}

impl IntactFrames {
    /// Finds the frames of this format. If there are none, looks for the previous format: the damage may be in the
    /// first bytes, which tell the formats apart.
    pub(super) fn find_any(file: &StoreFile, format: Format) -> io::Result<Self> {
        let intact = Self::find(file, format)?;
        if intact.places.is_empty() && format.prefix != legacy::FORMAT.prefix {
            return Self::find(file, legacy::FORMAT);
        }
        Ok(intact)
    }

    /// Finds the frames of one format. Of several frames with one number the last one counts.
    fn find(file: &StoreFile, format: Format) -> io::Result<Self> {
        let header = Header::read(file).ok().flatten();
        // Without a header, use the random number that most frames have: a disk may contain frames of deleted files.
        let random = match header {
            Some(header) if format.prefix == frame::FORMAT.prefix => header.file,
            _ => {
                let mut frames = BTreeMap::<u64, u64>::new();
                scan::scan(file, format, |place| {
                    *frames.entry(place.found.head.file).or_default() += 1;
                })?;
                let most = frames.into_iter().max_by_key(|&(_, count)| count);
                most.map_or(0, |(random, _)| random)
            }
        };
        let mut places = BTreeMap::<u64, Place>::new();
        let mut floor = 0;
        scan::scan(file, format, |place| {
            let head = place.found.head;
            if head.file != random {
                return;
            }
            floor = floor.max(head.floor);
            let known = places.get(&head.number);
            if known.is_none_or(|known| known.found.head.sequence <= head.sequence) {
                places.insert(head.number, place);
            }
        })?;
        places
            .retain(|&number, place| place.found.head.kind == Kind::DeadLetter || number >= floor);
        Ok(Self { places })
    }
}
