//! The commands.

use hangup::outbox::{DiskStore, Fsync, Salvage, Store, StoreOptions};
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many bytes of messages are in memory at a time.
const PAGE: usize = 4 * 1024 * 1024;

/// How many bytes of a message are printed in a list.
const BEGINNING: usize = 60;

fn read(file: &Path) -> Result<DiskStore> {
    Ok(StoreOptions::new().read_only(true).open(file)?)
}

/// Calls `each` for the messages from this number on, until it returns `false`.
fn for_each(
    store: &mut DiskStore,
    mut from: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<bool>,
) -> Result<()> {
    loop {
        let page = store.recover_page(from, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        from = last + 1;
        for (number, message) in &page {
            if !each(*number, message)? {
                return Ok(());
            }
        }
    }
}

pub(crate) fn info(file: &Path, out: &mut impl Write) -> Result<()> {
    let info = read(file)?.info()?;
    writeln!(out, "messages      {}", info.messages())?;
    writeln!(out, "dead letters  {}", info.dead_letters())?;
    writeln!(out, "next number   {}", info.next_number())?;
    writeln!(out, "bytes         {}", info.bytes())?;
    writeln!(out, "file size     {}", info.file_size())?;
    Ok(())
}

pub(crate) fn list(file: &Path, from: u64, limit: usize, out: &mut impl Write) -> Result<()> {
    let mut left = limit;
    for_each(&mut read(file)?, from, |number, message| {
        if left == 0 {
            return Ok(false);
        }
        left -= 1;
        let more = if message.len() > BEGINNING { "…" } else { "" };
        let beginning = &message[..message.len().min(BEGINNING)];
        writeln!(
            out,
            "{number}  {:>6}  \"{}\"{more}",
            message.len(),
            beginning.escape_ascii()
        )?;
        Ok(true)
    })
}

pub(crate) fn show(file: &Path, number: u64, out: &mut impl Write) -> Result<()> {
    let mut store = read(file)?;
    let mut found = None;
    for_each(&mut store, number, |next, message| {
        found = (next == number).then(|| message.to_vec());
        Ok(false)
    })?;
    if found.is_none() {
        let letters = store.dead_letters()?;
        let letter = letters.iter().find(|letter| letter.number() == number);
        found = letter.map(|letter| letter.message().to_vec());
    }
    let found = found.ok_or_else(|| {
        format!(
            "{}: no message has the number {number}: `list` prints those that are there",
            file.display()
        )
    })?;
    out.write_all(&found)?;
    Ok(out.flush()?)
}

pub(crate) fn dead_letters(file: &Path, out: &mut impl Write) -> Result<()> {
    for letter in read(file)?.dead_letters()? {
        let (number, size) = (letter.number(), letter.message().len());
        let reason = letter.reason().escape_debug();
        writeln!(out, "{number}  {size:>6}  {reason}")?;
    }
    Ok(())
}

pub(crate) fn export(file: &Path, directory: &Path, out: &mut impl Write) -> Result<()> {
    let mut store = read(file)?;
    private_directory(directory).map_err(|error| at(directory, &error))?;
    let mut names = fs::read_dir(directory).map_err(|error| at(directory, &error))?;
    if names.next().is_some() {
        return Err(format!("{}: the directory is not empty", directory.display()).into());
    }
    let mut messages = 0;
    for_each(&mut store, 0, |number, message| {
        private_file(&directory.join(format!("{number}.message")), message)?;
        messages += 1;
        Ok(true)
    })?;
    let letters = store.dead_letters()?;
    for letter in &letters {
        let name = format!("{}.dead-letter", letter.number());
        private_file(&directory.join(name), letter.message())?;
    }
    writeln!(out, "{messages} messages, {} dead letters", letters.len())?;
    Ok(())
}

/// Makes a directory of its owner's, if there is none.
fn private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Writes a file of its owner's, as the store is: messages may be confidential.
fn private_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    Ok(written.map_err(|error| at(path, &error))?)
}

/// What failed, and where: the system's errors do not say it.
fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

pub(crate) fn salvage(file: &Path, out: &mut impl Write) -> Result<()> {
    // `DiskStore::salvage` would create a store that does not exist.
    fs::metadata(file).map_err(|error| at(file, &error))?;
    match DiskStore::salvage(file, Fsync::Each)?.1 {
        Salvage::Salvaged {
            messages,
            dead_letters,
            damaged,
            ..
        } => writeln!(
            out,
            "{messages} messages and {dead_letters} dead letters salvaged; the damaged file is {}",
            damaged.display()
        )?,
        _ => writeln!(out, "the store is intact: nothing to salvage")?,
    }
    Ok(())
}

pub(crate) fn compact(file: &Path, out: &mut impl Write) -> Result<()> {
    let size = || match fs::metadata(file) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) => Err(at(file, &error)),
    };
    let before = size()?;
    let mut store = DiskStore::open(file, Fsync::Each)?;
    store.compact()?;
    drop(store);
    writeln!(out, "{before} bytes before, {} after", size()?)?;
    Ok(())
}
