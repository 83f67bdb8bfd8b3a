//! Finds out which parts of a file are in the page cache, so that reading them does not wait for the disk.

use std::fs::File;
use std::io::{self, ErrorKind};

/// The distance between two probed bytes: Linux's default read-ahead. The kernel reads that much at a time, so the pages
/// between two cached pages are usually cached too. Probing every page would cost as much as sending them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEP: usize = 128 << 10;

/// The smallest size of a page.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PAGE: usize = 4 << 10;

/// How much is read at a time in order to fill the page cache.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PART: usize = 64 << 10;

/// Whether the system reports which parts of `file` are in the page cache.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_known(file: &File) -> bool {
    match probe(file, 0) {
        Err(rustix::io::Errno::OPNOTSUPP) => is_in_memory(file),
        _ => true,
    }
}

/// How many of the `length` bytes from `at` on are in the page cache.
///
/// It probes one byte in each 128 KiB with a read that does not wait (`RWF_NOWAIT`, preadv2(2)). After the last one that
/// is there, it searches for the first page that is missing: a read-ahead may have got anywhere. If the file system does not
/// support the probe, the answer is "all".
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn cached(file: &File, at: u64, length: usize) -> io::Result<usize> {
    match cached_by(|at| probe(file, at), at, length) {
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(length),
        cached => Ok(cached?),
    }
}

/// As [`cached`], with the probe as an argument.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cached_by(
    mut probe: impl FnMut(u64) -> rustix::io::Result<usize>,
    at: u64,
    length: usize,
) -> rustix::io::Result<usize> {
    let mut is_there = |offset: usize| match probe(at + offset as u64) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::AGAIN) => Ok(false),
        Err(error) => Err(error),
    };
    let last = length.saturating_sub(1);
    let (mut there, mut missing) = (None, 0);
    while is_there(missing)? {
        if missing == last {
            return Ok(length);
        }
        there = Some(missing);
        missing = last.min(missing + STEP);
    }
    let Some(mut there) = there else {
        return Ok(0);
    };
    while missing - there > PAGE {
        let middle = usize::midpoint(there, missing);
        match is_there(middle)? {
            true => there = middle,
            false => missing = middle,
        }
    }
    // The rest of the last page is there too.
    let into_page = usize::try_from((at + there as u64) % PAGE as u64).unwrap_or(0);
    Ok(length.min(there + PAGE - into_page))
}

/// Reads one byte without waiting for the disk.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn probe(file: &File, at: u64) -> rustix::io::Result<usize> {
    read_now(file, &mut [0], at)
}

/// Android's libc has no preadv2, so nothing is known there.
#[cfg(target_os = "android")]
fn read_now(_: &File, _: &mut [u8], _: u64) -> rustix::io::Result<usize> {
    Err(rustix::io::Errno::OPNOTSUPP)
}

#[cfg(target_os = "linux")]
fn read_now(file: &File, buffer: &mut [u8], at: u64) -> rustix::io::Result<usize> {
    let buffers = &mut [io::IoSliceMut::new(buffer)];
    rustix::io::retry_on_intr(|| {
        rustix::io::preadv2(file, buffers, at, rustix::io::ReadWriteFlags::NOWAIT)
    })
}

/// Whether `file` is on tmpfs. Its files are always in memory, but it does not support the probe.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_in_memory(file: &File) -> bool {
    /// `TMPFS_MAGIC`, linux/magic.h.
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|system| u64::try_from(system.f_type) == Ok(TMPFS))
}

/// Reads up to `length` bytes from `at` on without waiting for the disk. `None` if that is not possible.
#[cfg(all(feature = "serve", any(target_os = "linux", target_os = "android")))]
pub(crate) fn read_cached(file: &File, at: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; length];
    match read_now(file, &mut buffer, at) {
        Ok(bytes) => {
            buffer.truncate(bytes);
            Ok(Some(buffer))
        }
        Err(rustix::io::Errno::OPNOTSUPP) if is_in_memory(file) => read(file, at, length).map(Some),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// On other systems every read may wait.
#[cfg(all(
    feature = "serve",
    not(any(target_os = "linux", target_os = "android"))
))]
pub(crate) fn read_cached(_: &File, _: u64, _: usize) -> io::Result<Option<Vec<u8>>> {
    Ok(None)
}

/// Reads up to `length` bytes from `at` on. It may wait for the disk.
pub(crate) fn read(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let bytes = loop {
        match read_at(file, &mut buffer, at) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    buffer.truncate(bytes);
    Ok(buffer)
}

/// Not known on this system: everything counts as cached, so nothing has to be filled.
#[cfg(all(
    feature = "serve",
    not(any(target_os = "linux", target_os = "android"))
))]
pub(crate) fn cached(_: &File, _: u64, length: usize) -> io::Result<usize> {
    Ok(length)
}

/// Nothing to do: see [`cached`].
#[cfg(all(
    feature = "serve",
    not(any(target_os = "linux", target_os = "android"))
))]
pub(crate) fn fill(_: &File, at: u64, length: usize) -> io::Result<u64> {
    Ok(at + length as u64)
}

/// Reads up to `length` bytes from `at` on into the page cache, and returns the offset behind them. It may wait for the
/// disk. Bytes behind the end of the file count as cached.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn fill(file: &File, at: u64, length: usize) -> io::Result<u64> {
    let mut filled = 0;
    while filled < length {
        match read(file, at + filled as u64, PART.min(length - filled))?.len() {
            0 => return Ok(at + length as u64),
            bytes => filled += bytes,
        }
    }
    Ok(at + filled as u64)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A file of `length` bytes on a disk, none of which is in the page cache; `None` where the temporary
    /// directory is memory.
    fn cold_file(length: usize) -> Option<File> {
        let path =
            std::env::temp_dir().join(format!("hangup-cold-{}-{length}", std::process::id()));
        std::fs::write(&path, vec![7; length]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        std::fs::remove_file(path).unwrap();
        (is_known(&file) && probe(&file, 0).is_err()).then_some(file)
    }

    /// A page cache that is not the system's: the numbers of the pages that are there.
    fn fake(pages: impl Fn(u64) -> bool) -> impl FnMut(u64) -> rustix::io::Result<usize> {
        move |at| match pages(at / PAGE as u64) {
            true => Ok(1),
            false => Err(rustix::io::Errno::AGAIN),
        }
    }

    /// A read-ahead may have got anywhere. A page behind it that counted as there would make the worker wait.
    #[test]
    fn nothing_behind_the_first_missing_page_counts() {
        let file = 200 * PAGE;
        for pages in (0..200).step_by(if cfg!(miri) { 17 } else { 1 }) {
            for at in [0, 1, PAGE - 1, PAGE, 40 * PAGE + 5] {
                let there = (pages * PAGE).saturating_sub(at);
                for length in [1, 100, PAGE, STEP - 1, STEP, STEP + 1, file - at] {
                    let cached = cached_by(fake(|page| page < pages as u64), at as u64, length);
                    assert_eq!(
                        cached,
                        Ok(there.min(length)),
                        "{pages} pages, {length} from {at} on"
                    );
                }
            }
        }
    }

    #[test]
    fn the_errors_of_a_probe() {
        let error = |error| cached_by(|_| Err(error), 0, 10);
        assert_eq!(error(rustix::io::Errno::IO), Err(rustix::io::Errno::IO));
        let unknown = rustix::io::Errno::OPNOTSUPP;
        assert_eq!(error(unknown), Err(unknown), "`cached` takes it for all");
        // The page after the last one that is there cannot be read.
        let mut probe = |at| match at {
            0 => Ok(1),
            at if at == STEP as u64 => Err(rustix::io::Errno::AGAIN),
            _ => Err(rustix::io::Errno::IO),
        };
        assert_eq!(
            cached_by(&mut probe, 0, 2 * STEP),
            Err(rustix::io::Errno::IO)
        );
    }

    #[test]
    fn cold_parts_are_distinguished_from_warm_ones() {
        let length = 4 << 20;
        let Some(file) = cold_file(length) else {
            return eprintln!("skipped: the temporary directory has no cold files");
        };
        assert_eq!(cached(&file, 0, 1 << 20).unwrap(), 0);
        #[cfg(feature = "serve")]
        assert_eq!(read_cached(&file, 0, 10).unwrap(), None);
        assert_eq!(fill(&file, 0, 256 << 10).unwrap(), 256 << 10);
        assert_eq!(cached(&file, 0, 256 << 10).unwrap(), 256 << 10);
        assert_eq!(cached(&file, 100, 1000).unwrap(), 1000);
        #[cfg(feature = "serve")]
        assert_eq!(read_cached(&file, 5, 10).unwrap(), Some(vec![7; 10]));
        let warm = cached(&file, 0, length).unwrap();
        assert!((256 << 10..length).contains(&warm), "{warm}");
        assert_eq!(
            fill(&file, length as u64 - 1, 100).unwrap(),
            length as u64 + 99,
            "the end"
        );
    }
}
