//! How a file becomes an open store: it is created, checked, converted or salvaged.
//!
//! ```text
//!  no file            create beside, then publish under the name
//!  format 2           hold back changes ─▶ check all pages ─▶ release
//!  format 1           read all messages ─▶ new file ─▶ replace
//!  damaged (salvage)  scan for frames ─▶ new file ─▶ keep the old one as .damaged ─▶ replace
//! ```
//!
//! In each row the file under the name is complete at every moment: a crash leaves the old file or the new one.

use super::backend::StorageBackend;
use super::error::{Outcome, StoreProblem};
use super::file::{self, LockedFile, Temporary};
use super::frame::Format;
use super::frame::{self, Kind};
use super::header::{self, Header};
use super::legacy::{self, Legacy};
use super::options::StoreOptions;
use super::salvage::Salvage;
use super::scan::{self, Place};
use super::store_file::{Region, StoreFile};
use super::tables::{Counts, Tables};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// How many bytes are copied in one commit.
const BATCH: usize = 4 * 1024 * 1024;

/// How many numbers are skipped after a salvage, so that no number of a lost message is used again.
const GAP: u64 = 1 << 32;

/// The parts of an open store.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<StoreFile>,
    pub(super) header: Header,
    pub(super) tables: Tables,
    pub(super) counts: Counts,
}

/// Opens or creates the store at a path: see `StoreOptions::open`.
pub(super) fn open_file(path: &Path, options: &StoreOptions) -> Outcome<Opened> {
    let locked = match LockedFile::open(path, options.read_only) {
        Err(StoreProblem::Io(error))
            if error.kind() == io::ErrorKind::NotFound && !options.read_only =>
        {
            let (mut new, temporary) = create(path, options)?;
            new.ready(options)?;
            temporary.publish(path)?;
            return Ok(new);
        }
        locked => locked?,
    };
    let file = Arc::new(StoreFile::new(locked, options.fsync));
    if legacy::begins_like_one(&file)? {
        return convert(&file, path, options);
    }
    open(file, options)
}

/// Opens or creates the store on a backend: see `StoreOptions::open_backend`.
pub(super) fn open_backend(
    backend: impl StorageBackend,
    options: &StoreOptions,
) -> Outcome<Opened> {
    let file = Arc::new(StoreFile::new(backend, options.fsync));
    if file.size()? == 0 && !options.read_only {
        let mut new = Opened::create(file, Counts::default())?;
        new.ready(options)?;
        return Ok(new);
    }
    if legacy::begins_like_one(&file)? {
        return Err(StoreProblem::OtherFormat);
    }
    open(file, options)
}

/// Opens a store. Nothing in its file is changed until all of it is checked.
fn open(file: Arc<StoreFile>, options: &StoreOptions) -> Outcome<Opened> {
    file.hold_back()?;
    let checked = Opened::check(&file);
    match checked {
        Ok(mut opened) => {
            if !options.read_only {
                file.release()?;
                opened.ready(options)?;
            }
            Ok(opened)
        }
        Err(problem) => {
            file.discard();
            Err(judge(&file, frame::FORMAT, problem))
        }
    }
}

impl Opened {
    /// Creates an empty store.
    fn create(file: Arc<StoreFile>, counts: Counts) -> Outcome<Self> {
        let header = Header::new();
        file.set_size(header::SIZE as u64)?;
        header.create(&file)?;
        let tables = Tables::create(Region::behind_header(&file), header.file, counts)?;
        Ok(Self {
            file,
            header,
            tables,
            counts,
        })
    }

    /// Checks the header and every page in use.
    fn check(file: &Arc<StoreFile>) -> Outcome<Self> {
        let header = Header::read(file)?.ok_or(StoreProblem::NotAStore)?;
        if file.size()? == header::SIZE as u64 {
            return Err(StoreProblem::damaged("cut off behind its first page"));
        }
        let (tables, counts) = Tables::open(Region::behind_header(file), header.file)?;
        if counts.sequence < header.acknowledged {
            return Err(StoreProblem::damaged("its last commit"));
        }
        Ok(Self {
            file: file.clone(),
            header,
            tables,
            counts,
        })
    }

    /// Begins a session, whose sequences are above all sequences that any frame in the file may have.
    fn ready(&mut self, options: &StoreOptions) -> Outcome<()> {
        let used = self.counts.sequence.max(self.header.acknowledged) >> 32;
        self.header.session = self.header.session.max(used) + 2;
        self.counts.sequence = self.header.session << 32;
        if !options.read_only {
            self.header.write_progress(&self.file)?;
            self.file.sync()?;
        }
        Ok(())
    }
}

/// The problem to report for a file that cannot be opened. A file with an intact frame is a damaged store.
fn judge(file: &StoreFile, format: Format, problem: StoreProblem) -> StoreProblem {
    let what = match problem {
        StoreProblem::Damaged { what, .. } => what,
        StoreProblem::NotAStore => "its first page".to_owned(),
        // The database tried to read beyond the end.
        StoreProblem::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "cut off".to_owned()
        }
        other => return other,
    };
    let known = matches!(Header::read(file), Ok(Some(_)) | Err(_));
    match Whole::find_any(file, format) {
        Ok(whole) if known || !whole.places.is_empty() => StoreProblem::Damaged {
            whole: whole.places.len(),
            what,
        },
        Ok(_) => StoreProblem::NotAStore,
        Err(error) => error.into(),
    }
}

/// Creates an empty store in a temporary file beside `path`.
fn create(path: &Path, options: &StoreOptions) -> Outcome<(Opened, Temporary)> {
    let (locked, temporary) = LockedFile::create(path, options.mode)?;
    let file = Arc::new(StoreFile::new(locked, options.fsync));
    Ok((Opened::create(file, Counts::default())?, temporary))
}

/// Copies a store of format 1 into a new file, and replaces the old file.
fn convert(file: &Arc<StoreFile>, path: &Path, options: &StoreOptions) -> Outcome<Opened> {
    file.hold_back()?;
    let legacy = match Legacy::open(file) {
        Ok(legacy) => legacy,
        Err(problem) => {
            file.discard();
            return Err(match problem {
                StoreProblem::NotAStore => problem,
                problem => judge(file, legacy::FORMAT, problem),
            });
        }
    };
    if options.read_only {
        return Err(StoreProblem::OtherFormat);
    }
    let (mut new, temporary) = create(path, options)?;
    let mut batch = Batch::new(&mut new);
    let mut failed = Ok(());
    legacy.messages(|number, message| {
        failed = batch.push(number, message);
        match failed {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    failed?;
    batch.commit()?;
    new.counts.next = new.counts.next.max(legacy.next);
    new.ready(options)?;
    new.counts = commit(&mut new, |_| Ok(()))?;
    drop(legacy);
    temporary.replace(path)?;
    Ok(new)
}

/// Copies the intact messages of a damaged file into a new one.
pub(super) fn salvage_file(path: &Path, options: &StoreOptions) -> Outcome<(Opened, Salvage)> {
    if options.read_only {
        return Err(StoreProblem::ReadOnly);
    }
    let damaged = Arc::new(StoreFile::new(
        LockedFile::open(path, false)?,
        options.fsync,
    ));
    let format = if legacy::begins_like_one(&damaged)? {
        legacy::FORMAT
    } else {
        frame::FORMAT
    };
    let whole = Whole::find_any(&damaged, format)?;
    let (mut new, temporary) = create(path, options)?;
    let mut batch = Batch::new(&mut new);
    let (mut messages, mut dead_letters) = (0, 0);
    for (&number, &place) in &whole.places {
        let message = scan::message(&damaged, place)?;
        match place.found.head.kind {
            Kind::Message => {
                batch.push(number, message.into())?;
                messages += 1;
            }
            Kind::DeadLetter => {
                batch.push_dead_letter(number, message)?;
                dead_letters += 1;
            }
        }
    }
    batch.commit()?;
    new.counts.next = (new.counts.next + GAP).min(frame::LIMIT);
    new.ready(options)?;
    new.counts = commit(&mut new, |_| Ok(()))?;
    let aside = file::set_aside(path)?;
    temporary.replace(path)?;
    let salvage = Salvage::Salvaged {
        messages,
        dead_letters,
        damaged: aside,
    };
    Ok((new, salvage))
}

fn commit(
    opened: &mut Opened,
    change: impl FnOnce(&mut super::tables::Change<'_>) -> Outcome<()>,
) -> Outcome<Counts> {
    let committed = opened.tables.commit(&opened.counts, change);
    committed.map_err(|failed| failed.problem)
}

/// The intact frames of a damaged file, by their numbers. Messages that were certainly removed are left out.
struct Whole {
    places: BTreeMap<u64, Place>,
}

impl Whole {
    /// Finds the frames of this format. If there are none, looks for the previous format: the damage may be in the
    /// first bytes, which tell the formats apart.
    fn find_any(file: &StoreFile, format: Format) -> io::Result<Self> {
        let whole = Self::find(file, format)?;
        if whole.places.is_empty() && format.prefix != legacy::FORMAT.prefix {
            return Self::find(file, legacy::FORMAT);
        }
        Ok(whole)
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

/// Messages that are committed to a new store together.
struct Batch<'a> {
    store: &'a mut Opened,
    messages: Vec<(u64, Bytes)>,
    dead_letters: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(store: &'a mut Opened) -> Self {
        Self {
            store,
            messages: Vec::new(),
            dead_letters: Vec::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, number: u64, message: Bytes) -> Outcome<()> {
        self.bytes += message.len();
        self.messages.push((number, message));
        self.commit_if_large()
    }

    fn push_dead_letter(&mut self, number: u64, letter: Vec<u8>) -> Outcome<()> {
        self.bytes += letter.len();
        self.dead_letters.push((number, letter));
        self.commit_if_large()
    }

    fn commit_if_large(&mut self) -> Outcome<()> {
        if self.bytes < BATCH {
            return Ok(());
        }
        self.commit()
    }

    fn commit(&mut self) -> Outcome<()> {
        self.store.counts = commit(self.store, |change| {
            change.add(&self.messages)?;
            for (number, letter) in &self.dead_letters {
                change.add_dead_letter(*number, letter)?;
            }
            Ok(())
        })?;
        self.messages.clear();
        self.dead_letters.clear();
        self.bytes = 0;
        Ok(())
    }
}
