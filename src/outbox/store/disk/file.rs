//! The file of a store: opened, locked, and with its disk space reserved before it is used.

use super::backend::StorageBackend;
use super::error::StoreProblem;
use super::frame;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// An open file that no other process has open as a store.
///
/// The lock is advisory (`flock(2)`) and belongs to the open file description, so a forked child shares it. It ends
/// when this value is dropped.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: File,
    /// Where the next start will look for the file.
    path: PathBuf,
    /// The process that opened it.
    owner: u32,
    /// Its device and its inode.
    #[cfg(unix)]
    identity: (u64, u64),
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing would not be enough: a child between `fork` and `exec` still has the descriptor. A child that
        // drops its copy must not unlock the file of its parent, hence the check.
        if self.owner == process::id() {
            let _ = self.file.unlock();
        }
    }
}

impl LockedFile {
    /// Opens and locks an existing file.
    pub(super) fn open(path: &Path, read_only: bool) -> Result<Self, StoreProblem> {
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(!read_only);
            // Without O_NONBLOCK, opening a FIFO would wait for a writer.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::custom_flags(
                &mut options,
                rustix::fs::OFlags::NONBLOCK.bits() as i32,
            );
            let file = options.open(path)?;
            if !file.metadata()?.is_file() {
                return Err(StoreProblem::NotAStore);
            }
            let locked = if read_only {
                file.try_lock_shared()
            } else {
                file.try_lock()
            };
            let file = Self::new(file, locked, path)?;
            // Before the lock was taken, another process may have replaced the file: then open the new one.
            match file.check_reachable() {
                Ok(()) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The file of `path`, if it could be locked.
    fn new(
        file: File,
        locked: Result<(), TryLockError>,
        path: &Path,
    ) -> Result<Self, StoreProblem> {
        match locked {
            Ok(()) => Ok(Self {
                // Absolute, because the program may change its working directory.
                path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
                owner: process::id(),
                #[cfg(unix)]
                identity: identity(&file.metadata()?),
                file,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreProblem::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Creates an empty, locked file under a temporary name beside `path`.
    pub(super) fn create(path: &Path, mode: u32) -> Result<(Self, Temporary), StoreProblem> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        loop {
            let mut name = OsString::from(".");
            name.push(path.file_name().ok_or_else(no_name)?);
            name.push(format!(".{:016x}.new", frame::random()));
            let name = path.with_file_name(name);
            match options.open(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
                Ok(file) => {
                    let temporary = Temporary { name, kept: false };
                    let locked = file.try_lock();
                    return Ok((Self::new(file, locked, path)?, temporary));
                }
            }
        }
    }
}

impl StorageBackend for LockedFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};

        (&self.file).seek(SeekFrom::Start(offset))?;
        (&self.file).read_exact(buffer)
    }

    #[cfg(not(unix))]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        use std::io::{Seek, SeekFrom, Write};

        (&self.file).seek(SeekFrom::Start(offset))?;
        (&self.file).write_all(data)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        reserve(&self.file, self.size()?, size)?;
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(unix)]
    fn check_reachable(&self) -> io::Result<()> {
        match identity(&fs::metadata(&self.path)?) == self.identity {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Windows does not remove a file that is open, so a file at the path is enough.
    #[cfg(not(unix))]
    fn check_reachable(&self) -> io::Result<()> {
        fs::metadata(&self.path).map(drop)
    }
}

/// What distinguishes a file from all others: its device and its inode.
#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

/// Reserves disk space for the growth of the file. If the file system cannot do this, a full disk is reported only by
/// a later write.
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

/// The temporary name of an incomplete file. Dropping it removes the name.
#[derive(Debug)]
pub(super) struct Temporary {
    name: PathBuf,
    kept: bool,
}

impl Temporary {
    /// Gives the file the permissions and the owner of `old`, which it is to replace. Only the superuser may give a file to
    /// another user. For others the owner stays.
    #[cfg(unix)]
    pub(super) fn resemble(&self, old: &Path) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, chown};

        let old = fs::metadata(old)?;
        let new = fs::metadata(&self.name)?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            match chown(&self.name, Some(old.uid()), Some(old.gid())) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                owned => owned?,
            }
        }
        fs::set_permissions(&self.name, old.permissions())
    }

    /// Windows takes the permissions from the directory.
    #[cfg(not(unix))]
    pub(super) fn resemble(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Gives the file the name `path`. Fails if another file has that name.
    pub(super) fn publish(self, path: &Path) -> Result<(), StoreProblem> {
        match fs::hard_link(&self.name, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(taken(path));
            }
            // The file system has no hard links.
            Err(_) if fs::symlink_metadata(path).is_ok() => return Err(taken(path)),
            Err(_) => return self.replace(path),
        }
        drop(self);
        Ok(sync_directory(path)?)
    }

    /// Gives the file the name `path`, replacing a file that has it.
    pub(super) fn replace(mut self, path: &Path) -> Result<(), StoreProblem> {
        fs::rename(&self.name, path)?;
        self.kept = true;
        Ok(sync_directory(path)?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // If this fails, a useless file stays behind.
            let _ = fs::remove_file(&self.name);
        }
    }
}

/// Makes a new name in the directory of `path` survive a power cut.
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

/// The path is empty, for example.
fn no_name() -> StoreProblem {
    StoreProblem::Io(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the path names no file: give the store a path with the name of a file",
    ))
}

/// Why a new file cannot have the name `path`: a symbolic link to nothing has it, or the file of another process.
fn taken(path: &Path) -> StoreProblem {
    match path.try_exists() {
        Ok(false) if path.is_symlink() => StoreProblem::Io(io::Error::new(
            io::ErrorKind::NotFound,
            "the path is a symbolic link to a file that does not exist: remove the link, or use the path of the file",
        )),
        Ok(_) => StoreProblem::InUse,
        Err(error) => error.into(),
    }
}

/// The path of the file itself, if `path` is a symbolic link: what replaces the file must not replace the link.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path)?.is_symlink() {
        true => fs::canonicalize(path),
        false => Ok(path.to_owned()),
    }
}

/// Gives a damaged file a second, unused name, and returns that name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut more = 1;
    loop {
        let mut aside = OsString::from(path);
        match more {
            1 => aside.push(".damaged"),
            _ => aside.push(format!(".damaged{more}")),
        }
        let aside = PathBuf::from(aside);
        match fs::hard_link(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => more += 1,
            // The file system has no hard links.
            Err(_) if !aside.try_exists()? => {
                fs::copy(path, &aside)?;
                File::open(&aside)?.sync_all()?;
                return Ok(aside);
            }
            done => return done.map(|()| aside),
        }
    }
}
