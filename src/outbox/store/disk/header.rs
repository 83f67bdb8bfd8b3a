//! The first page of the file: its identity, its format, and the last commit that is known to be complete.
//!
//! ```text
//! sector 0 │ identity
//! sector 1 │ progress, written in turns with
//! sector 2 │ progress
//! sector 3 │ 1 after a failed barrier (`store_file`)
//! sector 7 │ identity, once more
//! ```
//!
//! This relies on one property of disks: when the power fails, a sector of 512 bytes is written completely or not at
//! all.
//!
//! # Why the progress is recorded
//!
//! The database commits with one barrier. If the pages of the last commit do not match, it assumes that a power cut
//! interrupted the commit, and returns to the commit before it. A damaged page looks the same. `acknowledged`
//! distinguishes the two: it is written after the barrier, and without a barrier of its own. A commit that it names was
//! complete, so a mismatch in it is damage.

use super::error::StoreProblem;
use super::frame;
use super::log::LOG;
use super::region::Layout;
use super::store_file::{BARRIER_FAILED, HEADER_SIZE, StoreFile};
use std::io;

/// The length of the first page.
pub(super) const SIZE: usize = HEADER_SIZE as usize;

const SECTOR: usize = 512;
const MAGIC: [u8; 16] = *b"hangup outbox\x1b\r\n";
/// The format of a file without a log. It stays as it is.
const WITHOUT_LOG: u32 = 2;
const FORMAT: u32 = 3;
/// The position of the second copy of the identity.
const COPY: usize = 7 * SECTOR;

/// The fields of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The random number of the file. Each frame of the file carries it.
    pub(super) file: u64,
    /// Grows with each opening. Sequences begin at `session << 32`.
    pub(super) session: u64,
    /// The sequence of the last commit that is known to be complete.
    pub(super) acknowledged: u64,
    /// How often the progress was written. The higher turn of the two sectors counts.
    turn: u64,
    /// Where the parts of the file are, which depends on the format.
    pub(super) layout: Layout,
    /// A barrier has failed, and the program has ended before it was made good.
    pub(super) barrier_failed: bool,
}

impl Header {
    pub(super) fn new() -> Self {
        Self {
            file: frame::random(),
            session: 0,
            acknowledged: 0,
            turn: 0,
            layout: Layout::with_log(LOG),
            barrier_failed: false,
        }
    }

    /// Reads the header; `None` if the file begins with something else.
    pub(super) fn read(file: &StoreFile) -> Result<Option<Self>, StoreProblem> {
        if file.size()? < SIZE as u64 {
            return Self::cut_off(file);
        }
        let mut page = [0; SIZE];
        file.read_at(0, &mut page)?;
        let identities = [identity(&page[..SECTOR]), identity(&page[COPY..])];
        let Some((format, random)) = identities.into_iter().flatten().next() else {
            return if page.starts_with(&MAGIC) || page[COPY..].starts_with(&MAGIC) {
                Err(StoreProblem::damaged("its first page"))
            } else {
                Ok(None)
            };
        };
        let layout = Layout::with_log(match format {
            FORMAT => LOG,
            WITHOUT_LOG => 0,
            _ => return Err(StoreProblem::OtherFormat),
        });
        let turns = [1, 2].map(|sector| progress(&page[sector * SECTOR..][..SECTOR]));
        let progress = turns.into_iter().flatten().max_by_key(|&(turn, ..)| turn);
        let (turn, session, acknowledged) =
            progress.ok_or_else(|| StoreProblem::damaged("its first page"))?;
        Ok(Some(Self {
            file: random,
            session,
            acknowledged,
            turn,
            layout,
            barrier_failed: page[BARRIER_FAILED as usize] != 0,
        }))
    }

    /// What a file is that is shorter than the first page.
    fn cut_off(file: &StoreFile) -> Result<Option<Self>, StoreProblem> {
        let mut magic = [0; MAGIC.len()];
        if file.size()? < magic.len() as u64 {
            return Ok(None);
        }
        file.read_at(0, &mut magic)?;
        match magic == MAGIC {
            true => Err(StoreProblem::damaged("cut off in its first page")),
            false => Ok(None),
        }
    }

    /// Writes the whole page, for a new file.
    pub(super) fn create(&self, file: &StoreFile) -> io::Result<()> {
        let mut page = [0; SIZE];
        for at in [0, COPY] {
            page[at..at + 16].copy_from_slice(&MAGIC);
            page[at + 16..at + 20].copy_from_slice(&FORMAT.to_le_bytes());
            page[at + 20..at + 28].copy_from_slice(&self.file.to_le_bytes());
            let sum = crc32fast::hash(&page[at..at + 28]);
            page[at + 28..at + 32].copy_from_slice(&sum.to_le_bytes());
        }
        page[SECTOR..2 * SECTOR].copy_from_slice(&self.progress());
        file.write_at(0, &page)
    }

    /// Writes `session` and `acknowledged` into the older of the two sectors.
    pub(super) fn write_progress(&mut self, file: &StoreFile) -> io::Result<()> {
        self.turn += 1;
        let sector = 1 + self.turn % 2;
        file.write_at(sector * SECTOR as u64, &self.progress())
    }

    fn progress(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        let fields = [self.turn, self.session, self.acknowledged];
        for (place, field) in sector.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let sum = crc32fast::hash(&sector[..24]);
        sector[24..28].copy_from_slice(&sum.to_le_bytes());
        sector
    }
}

/// Reads a copy of the identity: the format and the random number. `None` if it is damaged.
fn identity(sector: &[u8]) -> Option<(u32, u64)> {
    let sum = u32::from_le_bytes(sector[28..32].try_into().ok()?);
    let sound = sector.starts_with(&MAGIC) && crc32fast::hash(&sector[..28]) == sum;
    let format = u32::from_le_bytes(sector[16..20].try_into().ok()?);
    let file = u64::from_le_bytes(sector[20..28].try_into().ok()?);
    sound.then_some((format, file))
}

/// Reads a sector of the progress: the turn, the session and the acknowledged sequence. `None` if it is damaged.
fn progress(sector: &[u8]) -> Option<(u64, u64, u64)> {
    let sum = u32::from_le_bytes(sector[24..28].try_into().ok()?);
    let field = |at: usize| Some(u64::from_le_bytes(sector[at..at + 8].try_into().ok()?));
    if crc32fast::hash(&sector[..24]) != sum {
        return None;
    }
    Some((field(0)?, field(8)?, field(16)?))
}
