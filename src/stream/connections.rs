//! The open connections of a listener.

use crate::monitor::Monitor;
use crate::policy::timer;
use crate::state::sync::{Mutex, lock};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The open connections of a listener: for a shutdown that also ends streams without an end, such as server-sent
/// events.
///
/// [`MonitoredListener::connections`](crate::MonitoredListener::connections) makes one. It is cheap to clone. An open
/// connection costs 16 bytes here; what is left of closed ones goes with the next connections, when there are twice as
/// many entries as open connections.
///
/// A connection counts until its stream is closed for whatever reason, and that may be before its handler has returned.
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

/// A small table is not worth a sweep.
const SMALL: usize = 32;

impl Table {
    fn sweep(&mut self) {
        self.monitors.retain(|monitor| !monitor.is_closed());
        self.sweep_at = (2 * self.monitors.len()).max(SMALL);
        // The table of a crowd that has left is not kept.
        self.monitors.shrink_to(self.sweep_at);
    }
}

impl Connections {
    /// A registry for an accept loop of one's own.
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

    /// Takes a connection in, until it closes.
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
        if table.monitors.len() >= table.sweep_at.max(SMALL) {
            table.sweep();
        }
        table.monitors.push(monitor.clone());
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
        let mut table = lock(&self.table);
        table.sweep();
        table.monitors.len()
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

    /// Ends every open connection in order: both directions are shut down (shutdown(2)). What was written before still
    /// reaches the peer, and then the end of the stream does.
    ///
    /// The reason is [`Aborted`](crate::CloseReason::Aborted), since we ended them. Pending reads find the end of the
    /// input; writes fail with the reason. An answer that is under way is cut short; HTTP and TLS tell such an end from
    /// a complete one. A stream without a descriptor, and a pipe, only end on our side.
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

    /// [Aborts](Monitor::abort) every open connection: each is reset, and its memory freed.
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

    /// Waits until every connection has closed, those that come meanwhile too, and at most for `within`. Returns how
    /// many are open then: 0 if it was in time.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without a timer.
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
            while let Some(monitor) = self.open().pop() {
                monitor.closed().await;
            }
        };
        let _ = tokio::time::timeout(within, closed).await;
        Ok(self.len())
    }

    /// Those that are open. Their wakers are called without the lock.
    fn open(&self) -> Vec<Monitor> {
        let mut table = lock(&self.table);
        table.sweep();
        table.monitors.clone()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("len", &self.len())
            .finish()
    }
}
