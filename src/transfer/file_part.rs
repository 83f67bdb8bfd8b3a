//! A part of a file, and how it is read.

use super::page_cache;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use tokio::runtime::Handle;

#[cfg(unix)]
pub(super) use std::os::fd::AsFd as AsFile;
#[cfg(windows)]
pub(super) use std::os::windows::io::AsHandle as AsFile;

/// The most that one system call sends. A fast peer would otherwise occupy the worker thread for the whole file. 1 MiB
/// was as fast as 8 MiB in `cargo bench --bench send_file`.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
pub(super) const CHUNK: usize = 1 << 20;

/// How much of an uncached file is read into the page cache at a time, on a blocking thread.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
const FILL: usize = 256 << 10;

/// How much is read at a time if the kernel does not send the file itself.
const BUFFER: usize = 128 << 10;

/// The part of a file that is left to send.
pub(super) struct FilePart {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
    /// `None`: to the end of the file, wherever that is.
    pub(super) end: Option<u64>,
}

impl FilePart {
    pub(super) fn new(file: &impl AsFile, range: &impl RangeBounds<u64>) -> io::Result<Self> {
        let file = duplicate(file)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        refuse_streams(&metadata)?;
        let at = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(start) => start.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.checked_add(1).map(Some),
            Bound::Excluded(end) => Some(Some(*end)),
            Bound::Unbounded if has_unknown_length(&metadata) => Some(None),
            Bound::Unbounded if !metadata.is_file() => return Err(endless()),
            Bound::Unbounded => Some(Some(metadata.len().max(at.unwrap_or(0)))),
        };
        let (Some(at), Some(end)) = (at, end) else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "hangup: the range ends beyond the largest possible offset",
            ));
        };
        let part = Self {
            file: Arc::new(file),
            at,
            end,
        };
        let Some(end) = end else { return Ok(part) };
        if end < at {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("hangup: the range {at}..{end} ends before it starts"),
            ));
        }
        // A device reports no length, so only reading shows its end.
        if metadata.is_file() && metadata.len() < end && !has_unknown_length(&metadata) {
            return Err(part.shorter(metadata.len()));
        }
        Ok(part)
    }

    pub(super) fn has_more(&self) -> bool {
        self.end.is_none_or(|end| self.at < end)
    }

    /// Brings the next bytes into the page cache, and returns the offset behind them.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
    pub(super) async fn cache(&self, end: u64) -> io::Result<u64> {
        let rest = usize::try_from(end - self.at).unwrap_or(usize::MAX);
        let cached = page_cache::cached(&self.file, self.at, rest.min(CHUNK));
        match cached.map_err(|error| explain(&self.file, error))? {
            0 => {
                let at = self.at;
                self.blocking(move |file| page_cache::fill(file, at, rest.min(FILL)))
                    .await
            }
            cached => Ok(self.at + cached as u64),
        }
    }

    /// Reads the next bytes.
    pub(super) async fn read(&self) -> io::Result<Vec<u8>> {
        let rest = self.end.map_or(u64::MAX, |end| end - self.at);
        let length = usize::try_from(rest).map_or(BUFFER, |rest| rest.min(BUFFER));
        let at = self.at;
        self.blocking(move |file| page_cache::read(file, at, length))
            .await
    }

    /// Calls `read` on a blocking thread, which may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!("hangup: reading the file needs a runtime: {error}"),
            )
        })?;
        let file = self.file.clone();
        let read = move || read(&file).map_err(|error| explain(&file, error));
        runtime.spawn_blocking(read).await?
    }

    /// The file ended at the present offset. That is an error if the range has an end.
    pub(super) fn ended(&self) -> io::Result<()> {
        match self.end {
            Some(_) => Err(self.shorter(self.at)),
            None => Ok(()),
        }
    }

    fn shorter(&self, length: u64) -> io::Error {
        let (at, end) = (self.at, self.end.unwrap_or(u64::MAX));
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("hangup: the file ends at {length}, before the end of the range {at}..{end}"),
        )
    }
}

/// A device reports a length of zero, and may have no end.
fn endless() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        "hangup: a device reports no length: give the range an end",
    )
}

/// Explains `error` if the way in which `file` was opened is the cause.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn explain(file: &File, error: io::Error) -> io::Error {
    use rustix::fs::{OFlags, fcntl_getfl};
    let is_direct = || fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::DIRECT));
    match error.raw_os_error() {
        // O_DIRECT requires aligned offsets, lengths and buffers (open(2)).
        Some(libc::EINVAL) if is_direct() => io::Error::new(
            ErrorKind::InvalidInput,
            "hangup: cannot send the file: it was opened with O_DIRECT; open it without that flag",
        ),
        _ => error,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn explain(_: &File, error: io::Error) -> io::Error {
    error
}

/// Refuses files without offsets. They cannot be sent in ranges, nor to several streams.
#[cfg(unix)]
fn refuse_streams(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    let what = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_file() || kind.is_block_device() || kind.is_char_device() {
        return Ok(());
    } else {
        // An epoll, an eventfd and their like have no type.
        "a descriptor without a file"
    };
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("hangup: cannot send a range of {what}: copy it with `tokio::io::copy` instead"),
    ))
}

#[cfg(windows)]
fn refuse_streams(_: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Whether the length that a file reports may be wrong: files in /proc report 0, files in /sys a page. Such files are
/// generated when they are read, so they have no blocks on a disk. (A file that is one hole has none either. Its length
/// is right, and reading it gives the same result.)
#[cfg(unix)]
fn has_unknown_length(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const LARGEST_PAGE: u64 = 64 << 10;
    metadata.is_file() && metadata.blocks() == 0 && metadata.len() <= LARGEST_PAGE
}

#[cfg(windows)]
fn has_unknown_length(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn duplicate(file: &impl AsFile) -> io::Result<File> {
    Ok(file.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate(file: &impl AsFile) -> io::Result<File> {
    Ok(file.as_handle().try_clone_to_owned()?.into())
}
