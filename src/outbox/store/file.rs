//! The file under the database: what redb's own has, and three things more. Room is taken when the file
//! grows, so that what is written later has its place; a policy decides about fsync; and a new store
//! appears under its name when it is complete.

use super::Fsync;
use super::error::StoreProblem;
use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// An open and locked file.
#[derive(Debug)]
pub(super) struct Locked {
    backend: FileBackend,
    file: File,
    fsync: Fsync,
}

impl Locked {
    pub(super) fn open(path: &Path, fsync: Fsync) -> Result<Self, StoreProblem> {
        Self::lock(OpenOptions::new().read(true).write(true).open(path)?, fsync)
    }

    /// The file in which a store is made. What another process left in it stays, until it is emptied.
    pub(super) fn open_new(path: &Path, fsync: Fsync) -> Result<Self, StoreProblem> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Self::lock(options.open(path)?, fsync)
    }

    fn lock(file: File, fsync: Fsync) -> Result<Self, StoreProblem> {
        let own = file.try_clone()?;
        let backend = FileBackend::new(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreProblem::InUse,
            DatabaseError::Storage(redb::StorageError::Io(error)) => error.into(),
            other => StoreProblem::Io(io::Error::other(other)),
        })?;
        Ok(Self {
            backend,
            file: own,
            fsync,
        })
    }

    pub(super) fn read_all(&self) -> io::Result<Vec<u8>> {
        let len = self.backend.len()?;
        self.backend
            .read(0, usize::try_from(len).map_err(io::Error::other)?)
    }
}

impl StorageBackend for Locked {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.backend.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        reserve(&self.file, self.backend.len()?, len)?;
        self.backend.set_len(len)
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        match self.fsync {
            Fsync::Each => self.backend.sync_data(eventual),
            Fsync::Never => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }
}

/// Takes the room of what the file grows by. Where the file system cannot, a full disk shows when the
/// room is used.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    let Some(more) = to.checked_sub(from).filter(|&more| more > 0) else {
        return Ok(());
    };
    loop {
        match fallocate(file, FallocateFlags::KEEP_SIZE, from, more) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            done => return Ok(done?),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn reserve(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// The path with this at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Makes what was renamed in the directory of `path` survive a power cut.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Gives a damaged file a second name, that is free, and says which.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = beside(path, ".damaged");
    let mut more = 1;
    loop {
        match fs::hard_link(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                more += 1;
                aside = beside(path, &format!(".damaged{more}"));
            }
            // A file system without links.
            Err(_) if !aside.try_exists()? => {
                fs::copy(path, &aside)?;
                File::open(&aside)?.sync_all()?;
                return Ok(aside);
            }
            done => return done.map(|()| aside),
        }
    }
}
