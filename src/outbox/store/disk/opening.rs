//! How a file becomes an open store: it is created, checked, converted or salvaged.
//!
//! ```text
//!  no file            create beside, then publish under the name
//!  format 2 or 3      hold back changes ─▶ check all pages ─▶ release
//!  format 1           read all messages ─▶ new file ─▶ replace
//!  damaged (salvage)  scan for frames ─▶ new file ─▶ keep the old one as .damaged ─▶ replace
//! ```
//!
//! In each row the file under the name is complete at every moment: a crash leaves the old file or the new one.

use super::backend::StorageBackend;
use super::batch::{Batch, commit};
use super::counts::Counts;
use super::error::{Outcome, StoreProblem};
use super::file::{self, LockedFile, Temporary};
use super::frame::Format;
use super::frame::{self, Kind};
use super::header::Header;
use super::intact::IntactFrames;
use super::legacy::{self, Legacy};
use super::opened::Opened;
use super::options::StoreOptions;
use super::salvage::Salvage;
use super::scan::{self};
use super::store_file::StoreFile;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// How many numbers are skipped after a salvage, so that no number of a lost message is used again.
const GAP: u64 = 1 << 32;

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
                if opened.header.barrier_failed {
                    file.rewrite()?;
                }
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

/// The problem to report for a file that cannot be opened, or read. A file with an intact frame is a damaged store.
pub(super) fn judge(file: &StoreFile, format: Format, problem: StoreProblem) -> StoreProblem {
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
    match IntactFrames::find_any(file, format) {
        Ok(intact) if known || !intact.places.is_empty() => StoreProblem::Damaged {
            whole: intact.places.len(),
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
        let what = "the store is in the first format: open it once for writing, which converts it";
        return Err(io::Error::new(io::ErrorKind::Unsupported, what).into());
    }
    let path = &file::resolve(path)?;
    let (mut new, temporary) = create(path, options)?;
    temporary.resemble(path)?;
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
    let intact = IntactFrames::find_any(&damaged, format)?;
    let path = &file::resolve(path)?;
    let (mut new, temporary) = create(path, options)?;
    temporary.resemble(path)?;
    let mut batch = Batch::new(&mut new);
    let (mut messages, mut dead_letters) = (0, 0);
    for (&number, &place) in &intact.places {
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
