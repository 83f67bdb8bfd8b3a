//! What a shutdown leaves.

use std::fmt;

/// What a [`shutdown`](super::Outbox::shutdown) leaves. Every call of `shutdown` on the same outbox
/// reports the same messages.
///
/// ```
/// use hangup::outbox::Outbox;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
/// drop(outbox.send("door opened").await?);
/// drop(outbox.send("door closed").await?);
///
/// // Nobody listens there, so nothing is delivered within the time.
/// let report = outbox.shutdown(Duration::from_millis(20)).await;
/// assert!(!report.is_complete());
/// assert_eq!(report.undelivered(), ["door opened", "door closed"]);
/// assert!(report.is_store_closed()); // it has no store
/// # Ok(())
/// # }
/// ```
pub struct ShutdownReport<T> {
    pub(crate) undelivered: Vec<T>,
    pub(crate) on_disk: u64,
    pub(crate) store_closed: bool,
}

impl<T> ShutdownReport<T> {
    /// The messages in memory that were neither confirmed nor dropped, in the order in which they were sent. Some of
    /// them may have arrived. In a durable outbox the important ones stay in the store, and the next outbox on that
    /// store sends them. Messages that are only in the store are not included: see [`on_disk`](Self::on_disk).
    ///
    /// ```
    /// # use hangup::outbox::Outbox;
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// drop(outbox.send("door opened").await?);
    /// drop(outbox.send("door closed").await?);
    /// let report = outbox.shutdown(Duration::ZERO).await;
    /// assert_eq!(report.undelivered(), ["door opened", "door closed"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn undelivered(&self) -> &[T] {
        &self.undelivered
    }

    /// The messages of [`undelivered`](Self::undelivered), by value.
    ///
    /// ```
    /// # use hangup::outbox::Outbox;
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
    /// # drop(outbox.send("door opened").await?);
    /// let mut left = outbox.shutdown(Duration::ZERO).await.into_undelivered();
    /// assert_eq!(left.pop(), Some("door opened"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_undelivered(self) -> Vec<T> {
        self.undelivered
    }

    /// How many messages were only in the store, because memory had no room for them. They stay there, and come after
    /// those of [`undelivered`](Self::undelivered) in the order.
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hangup::outbox::{DiskStore, Fsync, Outbox};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-on-disk-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .capacity(1024, 1) // memory for one message
    ///     .durable(DiskStore::open(directory.join("outbox"), Fsync::Never)?)
    ///     .spawn()?;
    /// for number in 0..3 {
    ///     drop(outbox.send(format!("door {number} opened")).await?);
    /// }
    /// let report = outbox.shutdown(Duration::ZERO).await;
    /// assert_eq!((report.undelivered().len(), report.on_disk()), (1, 2));
    /// # drop(outbox);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    pub fn on_disk(&self) -> u64 {
        self.on_disk
    }

    /// Whether no message was left, in memory or on disk.
    ///
    /// Messages that had expired, or that the encoder or the peer had refused, were settled before and do not count
    /// here. [`OutboxStatus::dropped`](super::OutboxStatus::dropped) counts them.
    ///
    /// ```
    /// # use hangup::outbox::Outbox;
    /// # use std::time::Duration;
    /// # use tokio::net::TcpStream;
    /// # use tokio_util::codec::LinesCodec;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connect = || TcpStream::connect("127.0.0.1:9");
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new).spawn()?;
    /// assert!(outbox.shutdown(Duration::from_secs(10)).await.is_complete()); // nothing was sent
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.undelivered.is_empty() && self.on_disk == 0
    }

    /// Whether the store has written everything and is closed; `true` without a store.
    ///
    /// `false` means that a call of the store had not returned one second after the time of the shutdown. It continues on its thread, and keeps the file
    /// locked until then: another outbox on the same file fails with `StoreProblem::InUse`.
    ///
    /// ```
    /// # #[cfg(feature = "durable")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hangup::outbox::{DiskStore, Fsync, Outbox};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # let directory = std::env::temp_dir().join(format!("hangup-closed-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// let path = directory.join("outbox");
    /// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .durable(DiskStore::open(&path, Fsync::Each)?)
    ///     .spawn()?;
    /// assert!(outbox.shutdown(Duration::from_secs(10)).await.is_store_closed());
    /// drop(DiskStore::open(&path, Fsync::Each)?); // the lock is free
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "durable"))]
    /// # fn main() {}
    /// ```
    pub fn is_store_closed(&self) -> bool {
        self.store_closed
    }
}

/// `Debug` does not print the messages.
impl<T> fmt::Debug for ShutdownReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownReport")
            .field("undelivered", &self.undelivered.len())
            .field("on_disk", &self.on_disk)
            .field("store_closed", &self.store_closed)
            .finish()
    }
}
