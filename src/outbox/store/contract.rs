//! What the outbox asks of a store, and what a store promises.

use super::dead_letter::DeadLetter;
use bytes::Bytes;
use std::io;

/// Keeps the messages of a durable outbox.
///
/// The calls may block. The outbox makes them one at a time, on a thread of its own
/// ([`durable`](crate::outbox::Builder::durable)), or on its task
/// ([`durable_nonblocking`](crate::outbox::Builder::durable_nonblocking)).
///
/// A store has to promise four things. The outbox can promise no more than its store:
///
/// 1. When [`append`](Self::append) returns `Ok`, the batch survives whatever the store is meant to survive.
/// 2. When it returns an error, [`recover`](Self::recover) returns no message of the batch. If the store cannot ensure
///    this, its error says so, because the sender may send the message again.
/// 3. [`recover`](Self::recover) returns the messages unchanged and in the order of their numbers.
/// 4. [`next_number`](Self::next_number) never falls, even after every message was removed.
///
/// | the outbox | calls |
/// |---|---|
/// | starts | `totals`, `next_number`, then `recover_page` until memory is full |
/// | accepts important messages | `append`, with all that wait together |
/// | has confirmations, up to 100 ms old | `remove`, with many at once |
/// | has room again | `recover_page` |
/// | sets a message aside | `bury` |
/// | ends | the rest of `remove`, and drops the store |
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::Store;
/// use std::collections::BTreeMap;
/// use std::io;
///
/// /// Keeps messages in memory: for a test.
/// #[derive(Default)]
/// struct Memory {
///     messages: BTreeMap<u64, Bytes>,
///     next: u64,
/// }
///
/// impl Store for Memory {
///     fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
///         Ok(self.messages.clone().into_iter().collect())
///     }
///
///     fn next_number(&mut self) -> io::Result<u64> {
///         Ok(self.next)
///     }
///
///     fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
///         for (number, message) in batch {
///             self.messages.insert(*number, message.clone());
///             self.next = number + 1;
///         }
///         Ok(())
///     }
///
///     fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
///         self.messages.retain(|number, _| !numbers.contains(number));
///         Ok(())
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let mut store = Memory::default();
/// store.append(&[(0, Bytes::from("door opened")), (1, Bytes::from("door closed"))])?;
/// store.remove(&[0, 1])?;
/// assert_eq!((store.recover()?.len(), store.next_number()?), (0, 2));
/// # Ok(())
/// # }
/// ```
///
/// # Testing a store
///
/// A store of your own has to keep its promises. This function checks those that a test can check without a power cut; `open`
/// opens the same store each time:
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::Store;
/// use std::io;
///
/// fn check<S: Store>(mut open: impl FnMut() -> io::Result<S>) -> io::Result<()> {
///     let message = |number: u64| (number, Bytes::from(format!("message {number}")));
///     let mut store = open()?;
///     let first = store.next_number()?;
///     store.append(&[message(first), message(first + 1)])?;
///     store.append(&[message(first + 5)])?; // numbers may have gaps
///     store.remove(&[first, first + 99])?; // unknown numbers are ignored
///     drop(store);
///
///     let mut store = open()?;
///     assert_eq!(store.recover()?, [message(first + 1), message(first + 5)]);
///     assert_eq!(store.recover_page(first + 2, 1)?, [message(first + 5)]); // at least one
///     assert_eq!(store.totals()?.0, 2);
///     store.remove(&[first + 1, first + 5])?;
///     drop(store);
///
///     let mut store = open()?;
///     assert!(store.recover()?.is_empty());
///     assert!(store.next_number()? > first + 5); // it never falls
///     Ok(())
/// }
///
/// # #[cfg(feature = "durable")]
/// # fn main() -> io::Result<()> {
/// # use hangup::outbox::{DiskStore, Fsync};
/// # let directory = std::env::temp_dir().join(format!("hangup-check-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("outbox");
/// check(|| Ok(DiskStore::open(&path, Fsync::Never)?))?;
/// # std::fs::remove_dir_all(&directory)
/// # }
/// # #[cfg(not(feature = "durable"))]
/// # fn main() {
/// #     let _ = check::<Never>;
/// #     struct Never;
/// #     impl Store for Never {
/// #         fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> { Ok(Vec::new()) }
/// #         fn next_number(&mut self) -> io::Result<u64> { Ok(0) }
/// #         fn append(&mut self, _: &[(u64, Bytes)]) -> io::Result<()> { Ok(()) }
/// #         fn remove(&mut self, _: &[u64]) -> io::Result<()> { Ok(()) }
/// #     }
/// # }
/// ```
pub trait Store: Send + 'static {
    /// Returns all kept messages, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>>;

    /// Returns the next kept messages whose number is at least `from`, in the order of their numbers: as many as fit into
    /// `max_bytes`, but at least one if there is one. The outbox uses it to read a backlog page by page.
    ///
    /// The default calls [`recover`](Self::recover), so it reads everything each time.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    ///
    /// To read a whole store page by page, as the outbox does, continue after the last number of each page:
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # fn main() -> std::io::Result<()> {
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-pages-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Never)?;
    /// store.append(&[(0, Bytes::from("one")), (1, Bytes::from("two")), (5, Bytes::from("a long message"))])?;
    ///
    /// let (mut from, mut pages) = (0, Vec::new());
    /// loop {
    ///     let page = store.recover_page(from, 8)?; // bytes
    ///     let Some((last, _)) = page.last() else { break };
    ///     from = last + 1;
    ///     pages.push(page.len());
    /// }
    /// assert_eq!(pages, [2, 1]); // the long message is a page of its own
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    fn recover_page(&mut self, from: u64, max_bytes: usize) -> io::Result<Vec<(u64, Bytes)>> {
        let mut bytes = 0_usize;
        let mut page = self.recover()?;
        page.retain(|(number, _)| *number >= from);
        let fitting = page.iter().take_while(|(_, message)| {
            bytes = bytes.saturating_add(message.len());
            bytes <= max_bytes
        });
        let length = fitting.count().max(1);
        page.truncate(length);
        Ok(page)
    }

    /// How many messages are kept, and roughly how many bytes they have.
    ///
    /// The default counts what [`recover`](Self::recover) returns.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    ///
    /// [`OutboxStatus`](crate::outbox::OutboxStatus) counts these messages from the start of the outbox, before it has read
    /// them. So a store with many messages should answer from counters, as `DiskStore` does.
    fn totals(&mut self) -> io::Result<(u64, u64)> {
        let kept = self.recover()?;
        let bytes = kept.iter().map(|(_, message)| message.len() as u64);
        Ok((kept.len() as u64, bytes.sum()))
    }

    /// Returns a number above all that were ever given to [`append`](Self::append). The outbox continues from there, so
    /// that no number names two messages.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn next_number(&mut self) -> io::Result<u64>;

    /// Keeps a batch of numbers and messages: all of it or nothing. When it returns `Ok`, the batch is safe. The numbers grow
    /// within a batch and from batch to batch, and may have gaps.
    ///
    /// # Errors
    ///
    /// If the batch cannot be kept. [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) says that it would fit if other messages
    /// were removed: the outbox then applies [`Builder::overflow`](crate::outbox::Builder::overflow).
    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()>;

    /// Removes messages. Numbers that the store does not have are ignored.
    ///
    /// # Errors
    ///
    /// If they cannot be removed. The outbox tries again later; messages that are still there at the next start are
    /// delivered once more.
    fn remove(&mut self, numbers: &[u64]) -> io::Result<()>;

    /// Turns a kept message into a dead letter: [`recover`](Self::recover) no longer returns it, and it stays until it is
    /// [removed](Self::remove_dead_letters). A number that the store does not have is ignored.
    ///
    /// # Errors
    ///
    /// If the store cannot write it. The default always fails with [`Unsupported`](io::ErrorKind::Unsupported), and the
    /// message stays where it is.
    ///
    /// The outbox calls it for a message that it has set aside as [`Unsendable`](crate::outbox::Unsendable), unless the handler
    /// of [`on_unsendable`](crate::outbox::Builder::on_unsendable) discards it. `reason` is a text for an operator. The change
    /// has to be atomic: after a crash the message is either kept or a dead letter, and never both or neither.
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Store};
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-bury-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let mut store = DiskStore::open(&path, Fsync::Each)?;
    /// store.append(&[(0, Bytes::from("door 99 opened")), (1, Bytes::from("door 7 opened"))])?;
    /// store.bury(0, "unknown door")?;
    /// drop(store); // or a crash
    ///
    /// let mut store = DiskStore::open(&path, Fsync::Each)?;
    /// assert_eq!(store.recover()?, [(1, Bytes::from("door 7 opened"))]);
    /// assert_eq!(store.dead_letters()?.len(), 1);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    fn bury(&mut self, number: u64, reason: &str) -> io::Result<()> {
        let _ = (number, reason);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the dead letters, in the order of their numbers. The default returns none.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    ///
    /// To list them for an operator:
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bytes::Bytes;
    /// use hangup::outbox::{DeadLetter, DiskStore, Fsync, Store};
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-letters-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let mut store = DiskStore::open(directory.join("outbox"), Fsync::Each)?;
    /// store.append(&[(7, Bytes::from("door 99 opened"))])?;
    /// store.bury(7, "unknown door")?;
    /// let lines: Vec<String> = store.dead_letters()?.iter().map(describe).collect();
    /// assert_eq!(lines, ["7: unknown door (14 bytes)"]);
    ///
    /// fn describe(letter: &DeadLetter) -> String {
    ///     format!("{}: {} ({} bytes)", letter.number(), letter.reason(), letter.message().len())
    /// }
    /// # drop(store);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    fn dead_letters(&mut self) -> io::Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    /// Removes dead letters. Numbers that the store does not have are ignored.
    ///
    /// # Errors
    ///
    /// If they cannot be removed.
    ///
    /// To send dead letters again, after the cause is removed. Each one is removed when its message has been accepted, so a crash
    /// in between can only send it twice:
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bytes::Bytes;
    /// use hangup::outbox::{DiskStore, Fsync, Outbox, Record, Store};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-again-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let mut old = DiskStore::open(&path, Fsync::Each)?;
    /// # old.append(&[(0, Bytes::from("door 99 opened"))])?;
    /// # old.bury(0, "unknown door")?;
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .durable(DiskStore::open(directory.join("second"), Fsync::Each)?)
    ///     .spawn()?;
    /// for letter in old.dead_letters()? {
    ///     let message = String::from_bytes(letter.message().clone()).map_err(|error| error.to_string())?;
    ///     drop(outbox.send(message).await?);
    ///     old.remove_dead_letters(&[letter.number()])?;
    /// }
    /// assert!(old.dead_letters()?.is_empty());
    /// assert_eq!(outbox.status().queued, 1);
    /// # outbox.shutdown(std::time::Duration::ZERO).await;
    /// # drop(old);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    fn remove_dead_letters(&mut self, numbers: &[u64]) -> io::Result<()> {
        let _ = numbers;
        Ok(())
    }
}
