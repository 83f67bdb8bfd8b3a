//! The open connections of a listener.

use crate::monitor::Monitor;
use crate::observe::call_foreign;
use crate::policy::timer;
use crate::state::sync::{Mutex, lock};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The open connections of a listener, for a shutdown that also ends endless streams such as server-sent events.
///
/// [`MonitoredListener::connections`](crate::MonitoredListener::connections) creates it. Clones share the list. An open
/// connection costs 16 bytes here. Entries of closed connections are removed when there are twice as many entries as
/// open connections.
///
/// A connection counts until its stream has closed for any reason. This may be before its handler has returned.
///
/// ```
/// use hangup::MonitoredListener;
/// use std::time::Duration;
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let connections = listener.connections();
/// # let address = listener.local_addr()?;
/// # let _client = tokio::net::TcpStream::connect(address).await?;
/// let (mut stream, _) = listener.accept().await?;
/// tokio::spawn(async move {
///     while stream.write_all(b"tick\n").await.is_ok() {
///         tokio::time::sleep(Duration::from_millis(1)).await;
///     }
/// });
///
/// // The shutdown: no new connections, time to end, and then the end.
/// drop(listener);
/// if connections.drain(Duration::from_millis(20)).await? > 0 {
///     connections.close_all();
/// }
/// assert!(connections.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Connections {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    monitors: Vec<Monitor>,
    /// At this length the closed ones are taken out.
    sweep_at: usize,
}

/// A smaller table is not swept.
const SMALL: usize = 32;

impl Table {
    /// Takes the closed ones out, for the caller to [`release`] without the lock.
    fn sweep(&mut self) -> Vec<Monitor> {
        let closed = self.monitors.extract_if(.., |monitor| monitor.is_closed());
        let closed = closed.collect();
        self.sweep_at = (2 * self.monitors.len()).max(SMALL);
        // Return the memory after a peak.
        self.monitors.shrink_to(self.sweep_at);
        closed
    }
}

/// Drops the handles of closed streams. The last handle of a stream closes its channel, and so wakes the subscribers, whose
/// wakers are foreign code and may panic.
fn release(closed: Vec<Monitor>) {
    for monitor in closed {
        call_foreign(|| drop(monitor));
    }
}

impl Connections {
    /// An empty list, for an accept loop of your own.
    ///
    /// ```
    /// use hangup::{Connections, MonitoredStream};
    ///
    /// let connections = Connections::new();
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// connections.add(&stream.monitor());
    /// assert_eq!(connections.len(), 1);
    /// drop(stream);
    /// assert_eq!(connections.len(), 0);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connection, which stays in the list until it closes.
    ///
    /// ```
    /// use hangup::{CloseReason, Connections, MonitoredStream};
    ///
    /// let connections = Connections::new();
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// connections.add(&stream.monitor());
    /// connections.abort_all();
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    /// ```
    pub fn add(&self, monitor: &Monitor) {
        let mut table = lock(&self.table);
        let is_due = table.monitors.len() >= table.sweep_at.max(SMALL);
        let closed = if is_due { table.sweep() } else { Vec::new() };
        table.monitors.push(monitor.clone());
        drop(table);
        release(closed);
    }

    /// How many connections are open.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let connections = listener.connections();
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert_eq!(connections.len(), 1);
    /// drop(client);
    /// stream.closed().await;
    /// assert_eq!(connections.len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.swept(<[Monitor]>::len)
    }

    /// Whether no connection is open.
    ///
    /// ```
    /// use hangup::Connections;
    ///
    /// assert!(Connections::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every open connection in order, by shutting down both directions (shutdown(2)). Data that was written before
    /// still reaches the peer, followed by the FIN.
    ///
    /// The reason is [`Aborted`](crate::CloseReason::Aborted), because we ended them. Pending reads return EOF, and writes
    /// fail with the reason. A response that is being sent is cut short; HTTP and TLS let the peer detect that. A
    /// stream without a descriptor, and a pipe, end only on our side.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let connections = listener.connections();
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    /// stream.write_all(b"last words").await?;
    /// connections.close_all();
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    ///
    /// let mut received = String::new();
    /// client.read_to_string(&mut received).await?;
    /// assert_eq!(received, "last words");
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_all(&self) {
        for monitor in self.open() {
            monitor.shut_down();
        }
    }

    /// [Aborts](Monitor::abort) every open connection. Each is reset, and the kernel discards its unsent data.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let connections = listener.connections();
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// connections.abort_all();
    /// drop(stream);
    /// assert!(client.read_u8().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort_all(&self) {
        for monitor in self.open() {
            monitor.abort();
        }
    }

    /// Waits until every connection has closed, including new ones, but at most for `within`. Returns the number of
    /// connections that are still open: 0 if all closed in time.
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](io::ErrorKind::NotConnected): it was not called in a runtime;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    ///
    /// ```
    /// use hangup::{Connections, MonitoredStream};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let connections = Connections::new();
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// connections.add(&stream.monitor());
    /// assert_eq!(connections.drain(Duration::from_secs(5)).await?, 1);
    /// drop(stream);
    /// assert_eq!(connections.drain(Duration::from_secs(5)).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(&self, within: Duration) -> io::Result<usize> {
        timer::runtime("`drain`")?;
        let closed = async {
            // Each connection is looked at once, and new ones in the next round.
            loop {
                let open = self.open();
                if open.is_empty() {
                    break;
                }
                for monitor in open {
                    monitor.closed().await;
                    call_foreign(|| drop(monitor));
                }
            }
        };
        let _ = tokio::time::timeout(within, closed).await;
        Ok(self.len())
    }

    /// The monitors of the open connections. A copy, because closing a connection calls wakers, which must run without
    /// the lock.
    fn open(&self) -> Vec<Monitor> {
        self.swept(<[Monitor]>::to_vec)
    }

    /// Looks at the open connections.
    fn swept<R>(&self, look: impl FnOnce(&[Monitor]) -> R) -> R {
        let mut table = lock(&self.table);
        let closed = table.sweep();
        let seen = look(&table.monitors);
        drop(table);
        release(closed);
        seen
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("len", &self.len())
            .finish()
    }
}
