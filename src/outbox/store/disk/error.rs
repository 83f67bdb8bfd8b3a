//! The errors of a store on disk.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of an inner call, before the path is added.
pub(super) type Outcome<T> = Result<T, StoreProblem>;

/// The error of a store on disk: its path, and the problem. The message says what to do.
///
/// ```
/// use hangup::outbox::{DiskStore, Fsync, StoreProblem};
/// use std::io::{self, ErrorKind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("hangup-error-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("letter.txt");
/// std::fs::write(&path, "Dear operator, this is not a store.")?;
/// let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
/// assert_eq!(error.path(), path);
/// assert!(matches!(error.problem(), StoreProblem::NotAStore));
///
/// // `io::Error::from` keeps the kind, and the error can be downcast again.
/// let error = io::Error::from(error);
/// assert_eq!(error.kind(), ErrorKind::InvalidData);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    problem: StoreProblem,
}

/// What is wrong with a store on disk.
///
/// | problem | was the file changed? | what to do |
/// |---|---|---|
/// | `Full`, `CapacityReached` | no | make room, or wait for deliveries |
/// | `LargerThanCapacity` | no | set a larger `disk_capacity`, or remove dead letters |
/// | `InUse` | no | stop the other process |
/// | `Damaged` | no | [salvage](super::DiskStore::salvage) it, or restore a copy |
/// | `Removed` | no | put the file back, or restart |
/// | `OutcomeUnknown` | perhaps | send again only if the peer drops repeated messages |
/// | `NotAStore`, `OtherFormat` | no | check the path, or the version of the program |
/// | `ReadOnly`, `TooLarge`, `NumberTooLarge` | no | fix the program |
/// | `Io` | perhaps | read the error |
///
/// ```
/// use hangup::outbox::StoreProblem;
///
/// /// Whether the same call may succeed later without anybody's help.
/// fn may_pass(problem: &StoreProblem) -> bool {
///     matches!(problem, StoreProblem::Full | StoreProblem::CapacityReached | StoreProblem::InUse)
/// }
///
/// assert!(may_pass(&StoreProblem::Full));
/// assert!(!may_pass(&StoreProblem::NotAStore));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreProblem {
    /// The disk or a quota is full. No kept message is lost. The store recovers on its own when there is room again.
    Full,
    /// The messages would take more than
    /// [`StoreOptions::disk_capacity`](super::StoreOptions::disk_capacity).
    CapacityReached,
    /// The message would take more than [`StoreOptions::disk_capacity`](super::StoreOptions::disk_capacity) also in a store
    /// without any other message. Dead letters stay until they are removed, so they count.
    LargerThanCapacity,
    /// The file is locked: by another process, by another [`DiskStore`](super::DiskStore) of this process, or by a forked
    /// child, which inherits the lock.
    InUse,
    /// The file is a damaged store. It has not been changed.
    #[non_exhaustive]
    Damaged {
        /// How many intact messages were found, each counted once.
        whole: usize,
        /// What is damaged.
        what: String,
    },
    /// The file was removed, renamed or replaced while the store had it open, so the next start would not find
    /// its messages. The store accepts no message until the file is back under its name.
    Removed,
    /// It is unknown whether the message was stored: a write failed, and so did the attempt to undo it. If the message was
    /// stored, the next start delivers it.
    #[non_exhaustive]
    OutcomeUnknown {
        /// Why the write failed.
        cause: Box<Self>,
    },
    /// The file is not a store of an outbox. It has not been changed.
    NotAStore,
    /// The file is a store in a format that this version does not know. It has not been changed.
    OtherFormat,
    /// The store was opened [read-only](super::StoreOptions::read_only).
    ReadOnly,
    /// The message is larger than 3 GiB.
    TooLarge,
    /// The number of the message is 2^60 or more.
    NumberTooLarge,
    /// The operating system reported another error.
    Io(io::Error),
}

impl StoreProblem {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged {
            whole: 0,
            what: what.into(),
        }
    }
}

impl StoreError {
    pub(super) fn new(path: &Path, problem: StoreProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }

    /// The file of the store. It is empty for a store that was opened with
    /// [`open_backend`](super::StoreOptions::open_backend).
    ///
    /// ```
    /// use hangup::outbox::{DiskStore, Fsync};
    ///
    /// let error = DiskStore::open("/no/such/directory/outbox", Fsync::Each).unwrap_err();
    /// assert_eq!(error.path().file_name().unwrap(), "outbox");
    /// assert!(error.to_string().starts_with("/no/such/directory/outbox: "));
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, and so what to do: see the table at [`StoreProblem`].
    ///
    /// ```
    /// use hangup::outbox::{DiskStore, Fsync, StoreProblem};
    /// use std::io::ErrorKind;
    ///
    /// let error = DiskStore::open("/no/such/directory/outbox", Fsync::Each).unwrap_err();
    /// match error.problem() {
    ///     StoreProblem::Io(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    ///     other => panic!("{other}"),
    /// }
    /// ```
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
        if !self.path.as_os_str().is_empty() {
            write!(f, "{}: ", self.path.display())?;
        }
        write!(f, "{}", self.problem)
    }
}

impl fmt::Display for StoreProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full: make room, and the store continues"),
            Self::CapacityReached => f.write_str(
                "the store has reached its capacity: wait until messages are delivered, or set a larger \
                 `disk_capacity`",
            ),
            Self::LargerThanCapacity => f.write_str(
                "the message does not fit into the store's `disk_capacity`, beside its dead letters, even after every \
                 delivery: set a larger one, remove dead letters, or send the message in parts",
            ),
            Self::InUse => f.write_str(
                "the store is in use: end the other process, or give this one a file of its own",
            ),
            Self::Damaged { whole, what } => write!(
                f,
                "the store is damaged ({what}); {whole} messages in it are whole: save those with \
                 `DiskStore::salvage` or `hangup-store salvage`, or put a sound copy in its place"
            ),
            Self::Removed => f.write_str(
                "the file was removed, renamed or replaced while the store was open: put it back, or \
                 restart with the file that is to be used",
            ),
            Self::OutcomeUnknown { cause } => write!(
                f,
                "outcome unknown: the message may be delivered after the next start ({cause})"
            ),
            Self::NotAStore => f.write_str(
                "the file is not a store of an outbox: use another path, or move the file away to begin anew",
            ),
            Self::OtherFormat => f.write_str(
                "the store is in a format that this version does not know: deliver its messages with \
                 the version that wrote it",
            ),
            Self::ReadOnly => f.write_str("the store was opened read-only"),
            Self::TooLarge => f.write_str("the message is larger than 3 GiB: send it in parts"),
            Self::NumberTooLarge => f.write_str("the number of the message is 2^60 or more"),
            Self::Io(error) => write!(f, "{error}"),
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

impl StoreProblem {
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Full => io::ErrorKind::StorageFull,
            Self::CapacityReached => io::ErrorKind::QuotaExceeded,
            Self::InUse => io::ErrorKind::ResourceBusy,
            Self::Damaged { .. } | Self::NotAStore => io::ErrorKind::InvalidData,
            Self::Removed => io::ErrorKind::NotFound,
            Self::OutcomeUnknown { cause } => cause.kind(),
            Self::OtherFormat => io::ErrorKind::Unsupported,
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            Self::TooLarge | Self::LargerThanCapacity => io::ErrorKind::FileTooLarge,
            Self::NumberTooLarge => io::ErrorKind::InvalidInput,
            Self::Io(error) => error.kind(),
        }
    }
}

/// The error is inside, for [`io::Error::downcast`].
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        Self::new(error.problem.kind(), error)
    }
}
