//! The store of a durable outbox.

use super::Builder;
use crate::outbox::engine::settings::{Durable, StoreCalls};
use crate::outbox::message::Message;
use crate::outbox::store::{Record, Store};

impl<T: Message> Builder<T> {
    /// Also keeps important messages in `store`, from before [`send`](crate::outbox::Outbox::send) returns until they are
    /// confirmed. So an accepted message is delivered even if the program crashes. Messages that are already in the
    /// store are delivered first, in order. For the exact promises see `DiskStore` (feature `durable`). The outbox calls
    /// the store on a thread of its own, because the calls block.
    ///
    /// Messages that do not fit into the [`capacity`](Self::capacity) are only in the store. They come into memory in
    /// order, as soon as there is room. A [`Receipt`](crate::outbox::Receipt) keeps a copy of its message in memory, so drop
    /// receipts that do not matter. While messages are only in the store, best-effort messages may use half of the
    /// capacity.
    ///
    /// Messages that are left after a [`shutdown`](crate::outbox::Outbox::shutdown) stay in the store, and the next
    /// outbox on that store delivers them.
    ///
    /// [`Confirm::Acknowledged`](crate::outbox::Confirm::Acknowledged) weakens this promise: the store removes a message
    /// when the peer's TCP has it, even if the peer's program has not read it.
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hangup::outbox::{DiskStore, Fsync, Outbox, Store};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-builder-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .durable(DiskStore::open(&path, Fsync::Each)?)
    ///     .spawn()?;
    /// drop(outbox.send("door opened".to_owned()).await?); // it is on disk now
    /// assert!(outbox.shutdown(Duration::ZERO).await.is_store_closed());
    ///
    /// let kept = DiskStore::open(&path, Fsync::Each)?.recover()?;
    /// assert_eq!(kept.len(), 1);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    pub fn durable(self, store: impl Store) -> Self
    where
        T: Record,
    {
        self.with_store(store, StoreCalls::OnThread)
    }

    /// As [`durable`](Self::durable), for a store whose calls never block, for instance one in memory. The outbox's task
    /// calls it, and no thread is started.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use hangup::outbox::{Outbox, Store};
    /// use std::collections::BTreeMap;
    /// use std::io;
    /// use std::sync::{Arc, Mutex};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// /// Survives the outbox, but not the process.
    /// #[derive(Clone, Default)]
    /// struct Memory(Arc<Mutex<BTreeMap<u64, Bytes>>>);
    ///
    /// impl Store for Memory {
    ///     fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
    ///         Ok(self.0.lock().unwrap().clone().into_iter().collect())
    ///     }
    ///     fn next_number(&mut self) -> io::Result<u64> {
    ///         Ok(self.0.lock().unwrap().last_key_value().map_or(0, |(number, _)| number + 1))
    ///     }
    ///     fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
    ///         self.0.lock().unwrap().extend(batch.iter().cloned());
    ///         Ok(())
    ///     }
    ///     fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
    ///         self.0.lock().unwrap().retain(|number, _| !numbers.contains(number));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Memory::default();
    /// let connect = || TcpStream::connect("127.0.0.1:9");
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
    ///     .durable_nonblocking(store.clone())
    ///     .spawn()?;
    /// drop(outbox.send("door opened".to_owned()).await?);
    /// outbox.shutdown(Duration::ZERO).await;
    /// assert_eq!(store.0.lock().unwrap()[&0], "door opened");
    /// # Ok(())
    /// # }
    /// ```
    pub fn durable_nonblocking(self, store: impl Store) -> Self
    where
        T: Record,
    {
        self.with_store(store, StoreCalls::OnTask)
    }

    fn with_store(mut self, store: impl Store, calls: StoreCalls) -> Self
    where
        T: Record,
    {
        self.settings.durable = Some(Durable {
            store: Box::new(store),
            calls,
            to_bytes: T::to_bytes,
            from_bytes: T::from_bytes,
        });
        self
    }
}
