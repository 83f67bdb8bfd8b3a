//! What a store on disk complains about.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a store on disk: its path, and the problem. The message says what to do.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    problem: StoreProblem,
}

/// What is wrong with a store on disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreProblem {
    /// The disk is full, or a quota is. What was kept stays kept; when there is room again the store goes
    /// on by itself.
    Full,
    /// Another process, or another [`DiskStore`](super::DiskStore) of this one, has the file open.
    InUse,
    /// The file is a store, and it is damaged. It has not been changed.
    #[non_exhaustive]
    Damaged {
        /// How many whole messages were found, each counted once.
        whole: usize,
        /// What is damaged.
        what: String,
    },
    /// The file is no store of an outbox. It has not been changed.
    NotAStore,
    /// The file is a store in a format that this version does not know. It has not been changed.
    OtherFormat,
    /// The message is larger than 3 GiB.
    TooLarge,
    /// The operating system refused something else.
    Io(io::Error),
}

impl StoreError {
    pub(super) fn new(path: &Path, problem: StoreProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }

    /// The file of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &StoreProblem {
        &self.problem
    }
}

impl From<io::Error> for StoreProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            StoreProblem::Full => f.write_str(
                "the disk is full: make room, the store goes on then",
            ),
            StoreProblem::InUse => f.write_str(
                "the store is in use: end the other process, or give this one a file of its own",
            ),
            StoreProblem::Damaged { whole, what } => write!(
                f,
                "the store is damaged ({what}); {whole} messages in it are whole: open it with \
                 `DiskStore::salvage` to go on with those, or put a sound copy in its place"
            ),
            StoreProblem::NotAStore => f.write_str(
                "the file is no store of an outbox: name another one, or remove it to begin anew",
            ),
            StoreProblem::OtherFormat => f.write_str(
                "the store is in a format that this version does not know: deliver its messages with \
                 the version that wrote it",
            ),
            StoreProblem::TooLarge => {
                f.write_str("the message is larger than 3 GiB: send it in parts")
            }
            StoreProblem::Io(error) => write!(f, "{error}"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            StoreProblem::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// The error is inside, for [`io::Error::downcast`].
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error.problem {
            StoreProblem::Full => io::ErrorKind::StorageFull,
            StoreProblem::InUse => io::ErrorKind::ResourceBusy,
            StoreProblem::Damaged { .. } | StoreProblem::NotAStore => io::ErrorKind::InvalidData,
            StoreProblem::OtherFormat => io::ErrorKind::Unsupported,
            StoreProblem::TooLarge => io::ErrorKind::FileTooLarge,
            StoreProblem::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}
