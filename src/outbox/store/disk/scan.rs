//! Finds the intact frames of a file, at any position, with a fixed amount of memory.

use super::frame::{Format, Found};
use super::store_file::StoreFile;
use std::io;

/// How many bytes are read at a time.
const WINDOW: usize = 256 * 1024;

/// An intact frame, and where its message begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) found: Found,
    pub(super) offset: u64,
}

/// Calls `each` for every intact frame, in the order of their positions.
pub(super) fn scan(
    file: &StoreFile,
    format: Format,
    mut each: impl FnMut(Place),
) -> io::Result<()> {
    let end = file.size()?;
    let mut window = vec![0; WINDOW];
    let mut at = 0;
    while at < end {
        let size = WINDOW.min(usize::try_from(end - at).unwrap_or(WINDOW));
        let bytes = &mut window[..size];
        file.read_at(at, bytes)?;
        // Find every frame that begins in this window.
        let mut rest = 0;
        while let Some(start) = bytes.get(rest..).and_then(|bytes| format.find(bytes)) {
            let start = rest + start;
            rest = match read_frame(format, file, at + start as u64, end)? {
                Some(place) => {
                    each(place);
                    // Skip the message: it cannot contain a frame of this file (see `frame`, invariant 1).
                    start + format.head + place.found.length as usize
                }
                None => start + 1,
            };
        }
        // A prefix may begin in the last bytes of the window, so the next window starts with them.
        let seen = (size - (format.prefix.len() - 1).min(size - 1)).max(rest);
        at += seen as u64;
    }
    Ok(())
}

/// Reads the message of a frame.
pub(super) fn message(file: &StoreFile, place: Place) -> io::Result<Vec<u8>> {
    let mut message = vec![0; place.found.length as usize];
    file.read_at(place.offset, &mut message)?;
    place.found.unmask(&mut message);
    Ok(message)
}

/// The frame at this position, if it is intact.
fn read_frame(format: Format, file: &StoreFile, at: u64, end: u64) -> io::Result<Option<Place>> {
    let offset = at + format.head as u64;
    if offset > end {
        return Ok(None);
    }
    let mut head = vec![0; format.head];
    file.read_at(at, &mut head)?;
    let Some((found, mut hasher)) = (format.read)(&head) else {
        return Ok(None);
    };
    if u64::from(found.length) > end - offset {
        return Ok(None);
    }
    let mut part = vec![0; WINDOW.min(found.length as usize)];
    let mut left = found.length as usize;
    let mut from = offset;
    while left > 0 {
        let size = left.min(part.len());
        file.read_at(from, &mut part[..size])?;
        hasher.update(&part[..size]);
        from += size as u64;
        left -= size;
    }
    Ok(found.is_whole(hasher).then_some(Place { found, offset }))
}
