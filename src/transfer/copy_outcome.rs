//! How a copy between two streams ended.

use crate::errors::CloseReason;
use crate::state::Transfer;
use crate::stream::MonitoredStream;

/// How a copy between two streams ended: see [`copy_bidirectional`](super::copy_bidirectional). For the log of a relay:
///
/// ```
/// use hangup::{CopyOutcome, CopySide, MonitoredListener, MonitoredStream, copy_bidirectional};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// /// Who ended the connection, and why.
/// fn describe(outcome: &CopyOutcome) -> String {
///     let side = |name: &str, side: &CopySide| match &side.reason {
///         Some(reason) => format!("{name} closed ({reason}) after {} bytes", side.transfer.read),
///         None => format!("{name} still open after {} bytes", side.transfer.read),
///     };
///     format!("{}; {}", side("client", &outcome.a), side("server", &outcome.b))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let backend = TcpListener::bind("127.0.0.1:0").await?;
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut a, _) = listener.accept().await?;
/// let mut b = MonitoredStream::new(TcpStream::connect(backend.local_addr()?).await?)?;
/// let (mut server, _) = backend.accept().await?;
///
/// client.write_all(b"hello").await?;
/// drop(client);
/// let outcome = copy_bidirectional(&mut a, &mut b).await;
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// assert!(describe(&outcome).starts_with("client closed"));
/// assert_eq!(outcome.a.transfer.read, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopyOutcome {
    /// The first stream.
    pub a: CopySide,
    /// The second stream.
    pub b: CopySide,
}

/// One of the two streams at the end of a copy.
///
/// For the line of a relay's log:
///
/// ```
/// use hangup::{CopySide, MonitoredStream, copy_bidirectional};
/// use tokio::io::AsyncWriteExt;
///
/// fn describe(side: &CopySide) -> String {
///     let (read, written) = (side.transfer.read, side.transfer.accepted);
///     match &side.reason {
///         Some(reason) => format!("read {read}, wrote {written}, {reason}"),
///         None => format!("read {read}, wrote {written}, open"),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (ours, mut client) = tokio::io::duplex(64);
/// let (theirs, server) = tokio::io::duplex(64);
/// let (mut a, mut b) = (MonitoredStream::unwatched(ours), MonitoredStream::unwatched(theirs));
/// client.write_all(b"hello").await?;
/// drop(client);
/// let copied = copy_bidirectional(&mut a, &mut b).await;
/// assert!(describe(&copied.a).starts_with("read 5, wrote 0"));
/// assert!(describe(&copied.b).starts_with("read 0, wrote 5"));
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopySide {
    /// The bytes that it has carried since it was created.
    pub transfer: Transfer,
    /// Why it closed; `None` if it is open.
    pub reason: Option<CloseReason>,
}

impl CopySide {
    pub(super) fn of<S>(stream: &MonitoredStream<S>) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}
