//! How a copy between two streams ended.

use crate::errors::CloseReason;
use crate::state::Transfer;
use crate::stream::MonitoredStream;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWrite;

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

impl CopyOutcome {
    /// Ends the stream that is still open in the way in which the other one ended, after its peer has everything that was
    /// written. `a` and `b` are the streams of the copy. If both are closed, it does nothing.
    ///
    /// | the other stream closed by | this one ends by | its peer sees |
    /// |---|---|---|
    /// | a FIN: [`PeerClosed`](CloseReason::PeerClosed), [`Finished`](CloseReason::Finished) | [`finish`](MonitoredStream::finish) | all data, then a FIN |
    /// | a reset, or anything else | [`reset_after_delivery`](MonitoredStream::reset_after_delivery) | all data, then a reset |
    ///
    /// A relay that drops its streams instead sends a FIN after a reset too, and a message that was cut looks complete.
    /// Drop the streams afterwards. It takes at most `within`.
    ///
    /// # Errors
    ///
    /// Those of [`finish`](MonitoredStream::finish) and [`reset_after_delivery`](MonitoredStream::reset_after_delivery): the
    /// peer may not have everything.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be dropped and called again.
    ///
    /// ```
    /// use hangup::{MonitoredStream, copy_bidirectional};
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let backend = TcpListener::bind("127.0.0.1:0").await?;
    /// let proxy = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = TcpStream::connect(proxy.local_addr()?).await?;
    /// let mut a = MonitoredStream::new(proxy.accept().await?.0)?;
    /// let mut b = MonitoredStream::new(TcpStream::connect(backend.local_addr()?).await?)?;
    /// let server = backend.accept().await?.0;
    ///
    /// socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO))?;
    /// drop(server); // a reset
    /// let copied = copy_bidirectional(&mut a, &mut b).await;
    /// copied.pass_on(&mut a, &mut b, Duration::from_secs(5)).await?;
    /// let error = client.read_u8().await.unwrap_err();
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pass_on<A, B>(
        &self,
        a: &mut MonitoredStream<A>,
        b: &mut MonitoredStream<B>,
        within: Duration,
    ) -> io::Result<()>
    where
        A: AsyncWrite + Unpin,
        B: AsyncWrite + Unpin,
    {
        end_after(&self.b, a, within).await?;
        end_after(&self.a, b, within).await
    }
}

/// Ends `stream`, if it is open, in the way in which `other` ended.
async fn end_after<S: AsyncWrite + Unpin>(
    other: &CopySide,
    stream: &mut MonitoredStream<S>,
    within: Duration,
) -> io::Result<()> {
    let ended = match &other.reason {
        _ if stream.is_closed() => return Ok(()),
        None => return Ok(()),
        Some(CloseReason::PeerClosed | CloseReason::Finished) => stream.finish(within).await,
        Some(_) => stream.reset_after_delivery(within).await,
    };
    ended.map(drop)
}

impl CopySide {
    pub(super) fn of<S>(stream: &MonitoredStream<S>) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}
