//! Counters of the bytes that a stream has carried.

use super::atomic::AtomicU64;
use crate::observe::Bytes;
use std::sync::atomic::Ordering::Relaxed;

/// How many bytes a stream has carried. [`Monitor::transfer`](crate::Monitor::transfer) returns it, also after the stream
/// has closed.
///
/// | question | answer |
/// |---|---|
/// | How much has the client sent us? | `read` |
/// | How much of our work has left the program? | `accepted` |
/// | How much has surely reached the client's machine? | `acknowledged` |
/// | How much was on its way when the connection ended? | `accepted` less `acknowledged` |
/// | How much has the client's program processed? | unknown: only a reply of its protocol can tell |
///
/// ```
/// use hangup::MonitoredListener;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
/// client.write_all(b"GET").await?;
/// stream.read_exact(&mut [0; 3]).await?;
/// stream.write_all(b"hello").await?;
/// let monitor = stream.monitor();
/// drop(stream);
///
/// let transfer = monitor.transfer();
/// assert_eq!((transfer.read, transfer.accepted), (3, 5));
/// // Some(5) if the peer's kernel acknowledged it before the drop; None if the system does not report it.
/// assert!(transfer.acknowledged.is_none_or(|bytes| bytes <= 5));
/// # Ok(())
/// # }
/// ```
///
/// For the last line of a log, which must not claim more than is known:
///
/// ```
/// use hangup::{MonitoredStream, Transfer};
/// use tokio::io::AsyncWriteExt;
///
/// fn describe(transfer: &Transfer) -> String {
///     let sent = transfer.accepted;
///     match transfer.acknowledged {
///         Some(bytes) if bytes == sent => format!("{sent} bytes, all of them arrived"),
///         Some(bytes) => format!("{sent} bytes, {} of them perhaps lost", sent - bytes),
///         None => format!("{sent} bytes, and nobody knows how many arrived"),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # #[cfg(unix)] {
/// let (ours, _peer) = tokio::net::UnixStream::pair()?;
/// let mut stream = MonitoredStream::new(ours)?;
/// let monitor = stream.monitor();
/// assert_eq!(describe(&monitor.transfer()), "0 bytes, all of them arrived");
/// stream.write_all(b"hello").await?; // not over TCP, so the kernel does not tell
/// assert_eq!(describe(&monitor.transfer()), "5 bytes, and nobody knows how many arrived");
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Transfer {
    /// Bytes that reads of the stream have returned.
    pub read: u64,
    /// Bytes that the wrapped stream took from writes. For a socket: bytes that the kernel took.
    pub accepted: u64,
    /// Accepted bytes that the peer's TCP has acknowledged; `None` if that is not known.
    ///
    /// The number is exact and never more than `accepted`. It comes from `TCP_INFO` and `SIOCOUTQ` (tcp(7)), at the moment
    /// of the question, or from the moment of the drop if the stream is dropped.
    ///
    /// * Known on Linux 4.19 or later, for a stream that is TCP itself and was wrapped before anything was sent.
    /// * Not known above TLS, where the socket carries other bytes than the stream, nor for Unix sockets. Before anything
    ///   is sent it is 0 for these too.
    /// * Never known for a stream that is [unwatched](crate::MonitoredStream::unwatched) or
    ///   [watched only](crate::WatchOnly).
    /// * Once known, it never becomes unknown and never decreases. After a write that bypasses the wrapper it keeps the
    ///   last known value.
    ///
    /// Acknowledged bytes are not necessarily processed: they are in the memory of the peer's kernel. If the peer's
    /// program dies, it has not read them. On the other hand, bytes may have arrived without being acknowledged: a kernel
    /// may delay an acknowledgement (RFC 1122, section 4.2.3.2), and a reset before it acknowledges nothing.
    pub acknowledged: Option<u64>,
}

impl From<Transfer> for Bytes {
    fn from(transfer: Transfer) -> Self {
        Self {
            read: transfer.read,
            accepted: transfer.accepted,
            acknowledged: transfer.acknowledged,
        }
    }
}

/// The counters behind [`Transfer`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    read: AtomicU64,
    accepted: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn add_read(&self, bytes: usize) {
        add(&self.read, bytes);
    }

    #[inline]
    pub(crate) fn add_accepted(&self, bytes: usize) {
        add(&self.accepted, bytes);
    }

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }
}

/// Adds with a plain load and store. A stream is read and written through `&mut`, so each counter has a single writer.
#[inline]
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Relaxed) + bytes as u64, Relaxed);
}
