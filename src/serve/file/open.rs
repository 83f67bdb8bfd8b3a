//! Opens files, without blocking the worker if the path is in memory.

use cap_std::fs::Dir;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open file or directory. Anything else counts as not found, because a read of a pipe or a device may wait forever.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

impl Opened {
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        match metadata.is_file() || metadata.is_dir() {
            true => Ok(Self { file, metadata }),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn from_file(file: File) -> io::Result<Self> {
        Self::new(file)
    }

    /// Opens the file at `path`, which the program has chosen.
    pub(super) async fn at(path: PathBuf) -> io::Result<Self> {
        if let Some(opened) = open_cached(None, &path) {
            return Self::new(opened?);
        }
        tokio::task::spawn_blocking(move || Self::new(open(&path)?)).await?
    }

    /// As [`below`](Self::below), or `None` if it may take a wait for the disk.
    pub(super) fn below_now(folder: &Dir, path: &Path) -> Option<io::Result<Self>> {
        open_cached(Some(folder), path).map(|opened| Self::new(opened?))
    }

    /// Opens `path` below `folder`. A symbolic link that leads out of the folder is an error.
    pub(super) async fn below(folder: &Arc<Dir>, path: &Path) -> io::Result<Self> {
        if let Some(opened) = Self::below_now(folder, path) {
            return opened;
        }
        let (folder, path) = (folder.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || Self::new(open_below(&folder, &path)?)).await?
    }
}

/// Opens a file at once if the kernel has its whole path in memory (`RESOLVE_CACHED`, openat2(2)). `None` if it has not, or
/// if the system does not support this.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_cached(folder: Option<&Dir>, path: &Path) -> Option<io::Result<File>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use std::os::fd::AsFd;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match folder {
        Some(folder) => {
            let below = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
            openat2(folder.as_fd(), path, flags, Mode::empty(), below)
        }
        None => openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED),
    };
    match opened {
        Ok(file) => Some(Ok(file.into())),
        // After any failure the slow way is tried, whose errors are the same on every system.
        Err(rustix::io::Errno::NOENT) => Some(Err(ErrorKind::NotFound.into())),
        Err(_) => None,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_cached(_: Option<&Dir>, _: &Path) -> Option<io::Result<File>> {
    None
}

/// Opens a path that the program has chosen.
fn open(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe would wait for its writer.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path)
}

/// Opens a path that a client has chosen. cap-std follows neither `..` nor a symbolic link out of the folder
/// (`RESOLVE_BENEATH`, openat2(2)).
fn open_below(folder: &Dir, path: &Path) -> io::Result<File> {
    let mut options = cap_std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    Ok(folder.open_with(path, &options)?.into_std())
}
