//! The watcher of each runtime, and the sockets that it watches.
//!
//! The first registration in a runtime creates its watcher: a notifier, a list of sockets under keys that are never
//! reused, and a task. The task ends with the runtime. [`WatcherEnd`] then closes all streams with `RuntimeShutdown`,
//! so that no future waits forever.

use super::socket::Socket;
use super::sys::{BATCH, Notifier, Raw, Target};
use crate::state::sync::lock;
use crate::state::{DetectedBy, Event, Key, KeyedList};
use rustix::fd::{AsRawFd, BorrowedFd};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::runtime::{Handle, Id};

/// The watcher of each runtime that has one.
static WATCHERS: RwLock<Option<HashMap<Id, Arc<Watcher>>>> = RwLock::new(None);

/// The watcher of one runtime.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) notifier: Notifier,
    /// `None` after the runtime has shut down.
    sockets: Mutex<Option<KeyedList<Arc<Socket>>>>,
}

/// A socket's entry in the watcher of its runtime. The first drop of any clone removes it.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    watcher: Arc<Watcher>,
    socket: Arc<Socket>,
    key: Key,
}

impl Registration {
    /// Registers `fd`, the descriptor of `socket`, with the watcher of the current runtime.
    pub(crate) fn new(fd: BorrowedFd<'_>, socket: &Arc<Socket>) -> io::Result<Self> {
        Self::added(socket, |watcher, key| {
            let is_watched = || watcher.watches(fd.as_raw_fd(), key);
            watcher.notifier.add(fd, key.to_bits(), is_watched)
        })
    }

    /// Ends the registration of a stream that is about to close its descriptor.
    ///
    /// If nothing else can close the descriptor, the close removes it from the notifier. A duplicate of the descriptor keeps
    /// the entry until it is closed too. Until then each news of the file wakes the watcher once, for a key that nobody has.
    pub(crate) fn close(self) {
        self.detach(|target| !target.is_exclusive() && target.is_same());
    }

    /// Gives the descriptor up, and takes it out of the notifier if `is_removed` says so.
    fn detach(&self, is_removed: impl FnOnce(Target) -> bool) {
        self.socket.detach(|target| {
            if is_removed(target) {
                self.watcher
                    .notifier
                    .remove(target.raw(), self.key.to_bits());
            }
        });
    }

    /// Enters the socket into the table, and `add`s it to the notifier under the key of its entry. If a step fails, the steps
    /// before it are undone.
    pub(super) fn added(
        socket: &Arc<Socket>,
        add: impl FnOnce(&Watcher, Key) -> io::Result<()>,
    ) -> io::Result<Self> {
        let watcher = Watcher::current()?;
        let key = match lock(&watcher.sockets).as_mut() {
            Some(sockets) => sockets.insert(socket.clone()),
            None => return Err(gone()),
        };
        // From here on, dropping the registration undoes every step that was done.
        let registration = Self {
            watcher,
            socket: socket.clone(),
            key,
        };
        match add(&registration.watcher, key) {
            Ok(()) => Ok(registration),
            Err(error) => {
                // The number may now belong to another registration, so it stays in the notifier.
                registration.socket.detach(|_| ());
                Err(error)
            }
        }
    }
}

// The lists are changed under their locks, and no foreign code runs under them.
impl UnwindSafe for Registration {}
impl RefUnwindSafe for Registration {}

impl Drop for Registration {
    fn drop(&mut self) {
        self.detach(Target::is_same);
        let socket = lock(&self.watcher.sockets)
            .as_mut()
            .and_then(|sockets| sockets.remove(self.key));
        drop(socket);
    }
}

impl Watcher {
    /// The watcher of the current runtime. The first call creates it.
    fn current() -> io::Result<Arc<Self>> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!(
                    "hangup: a stream is watched by the runtime in which it is created: {error}"
                ),
            )
        })?;
        let id = runtime.id();
        let watchers = WATCHERS.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = watchers.as_ref().and_then(|watchers| watchers.get(&id)) {
            return Ok(watcher.clone());
        }
        drop(watchers);

        // Two threads may both create one; the second one is dropped unused.
        let made = Arc::new(Self {
            notifier: Notifier::new()?,
            sockets: Mutex::new(Some(KeyedList::new())),
        });
        let mut write = WATCHERS.write().unwrap_or_else(PoisonError::into_inner);
        let watchers = write.get_or_insert_default();
        if let Some(watcher) = watchers.get(&id) {
            return Ok(watcher.clone());
        }
        watchers.insert(id, made.clone());
        drop(write);
        // Outside of the lock: a runtime that is shutting down drops the task immediately, and with it `WatcherEnd`.
        let end = WatcherEnd {
            id,
            watcher: made.clone(),
        };
        runtime.spawn(async move {
            // An error means that the runtime's driver has ended. Dropping `end` reports this to every stream.
            let _ = end.watcher.run().await;
        });
        Ok(made)
    }

    /// Whether a stream other than that of `own` has the descriptor `raw`.
    fn watches(&self, raw: Raw, own: Key) -> bool {
        let sockets: Vec<_> = match lock(&self.sockets).as_ref() {
            Some(sockets) => sockets
                .iter()
                .map(|(key, socket)| (key, socket.clone()))
                .collect(),
            None => Vec::new(),
        };
        // Outside of the table's lock, because each has a lock of its own.
        sockets
            .iter()
            .any(|(key, socket)| *key != own && socket.has_descriptor(raw))
    }

    /// Examines each socket that the notifier names.
    async fn run(&self) -> io::Result<()> {
        let mut tokens = Vec::with_capacity(BATCH);
        let mut sockets = Vec::with_capacity(BATCH);
        loop {
            tokens.clear();
            self.notifier.wait(&mut tokens).await?;
            if let Some(sockets_by_key) = lock(&self.sockets).as_ref() {
                // A late token finds nothing, because keys are never reused.
                let keys = tokens.iter().copied().filter_map(Key::from_bits);
                sockets.extend(keys.filter_map(|key| sockets_by_key.get(key).cloned()));
            }
            for socket in sockets.drain(..) {
                socket.examine(DetectedBy::Watcher);
            }
            if tokens.len() >= BATCH {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Ends the watcher together with its task, and so with its runtime.
struct WatcherEnd {
    id: Id,
    watcher: Arc<Watcher>,
}

impl Drop for WatcherEnd {
    fn drop(&mut self) {
        let mut watchers = WATCHERS.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(watchers) = watchers.as_mut() {
            watchers.remove(&self.id);
        }
        drop(watchers);
        let sockets = mem::take(&mut *lock(&self.watcher.sockets));
        for socket in sockets.into_iter().flat_map(KeyedList::into_values) {
            socket.apply(Event::RuntimeShutdown, DetectedBy::Us);
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(
        ErrorKind::NotConnected,
        "hangup: the runtime is shutting down, and its watcher has ended",
    )
}
