//! Copying between two streams, both ways.

use super::copy_options::{BUFFER, CopyOptions};
use super::copy_outcome::CopyOutcome;
use crate::stream::MonitoredStream;
use tokio::io::{AsyncRead, AsyncWrite};

/// Copies between two streams in both directions, until one of them closes.
///
/// When one stream closes,
/// * the direction towards it ends at once, also while it waits for input, or for a peer that does not read;
/// * what had arrived from it is still written to the other stream. If the input ended with a FIN, the other stream is
///   then shut down. After any other end, such as a reset, it is not: a FIN would tell its peer that the message is
///   complete.
///
/// So at the end at least one of the two streams is closed, and the other one may be open. What was written to the open
/// one is in the kernel, and may not have arrived:
/// * after a FIN, [`finish`](MonitoredStream::finish) waits until its peer has acknowledged everything;
/// * after any other end, [`reset_after_delivery`](MonitoredStream::reset_after_delivery) waits in the same way and then
///   passes the reset on. [`abort`](MonitoredStream::abort) alone discards what is still on its way, and a drop sends a
///   FIN;
/// * [`CopyOutcome::pass_on`] does the one or the other. After a FIN it also reads what the peer is still sending, because a
///   drop with unread input is a reset, which may discard the last data.
///
/// The counts in [`CopyOutcome`] are those of the streams, from their creation. Bytes that were read from one stream and
/// not accepted by the other one are lost.
///
/// | `a`'s peer | `a.reason` | `b.reason` | what `b`'s peer sees |
/// |---|---|---|---|
/// | closes, by a FIN | `PeerClosed` | `None` | all data, then a FIN |
/// | resets | `Reset` | `None` | what had arrived, and no FIN: end `b` yourself |
/// | half-closes, with [`HalfClose::Allow`](crate::HalfClose), and `b`'s peer answers and closes | `Finished` | `Finished` | all data, a FIN, and its own answer was delivered |
/// | stalls, with a [`StallPolicy`](crate::StallPolicy) | `Stalled` | `None` | what was read from `a`, and no FIN |
/// | vanishes, with a [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout) | `TimedOut` | `None` | what had arrived, and no FIN |
///
/// # Half-close
///
/// A FIN ends both directions, unless its stream allows half-closes ([`HalfClose::Allow`](crate::HalfClose)). Then the
/// FIN is passed on as a shutdown after the data before it, and the other direction goes on, as with
/// `tokio::io::copy_bidirectional`.
///
/// # What it waits for
///
/// * One peer has left, and the other one does not read the last data. The copy waits until it reads or leaves too.
///   Workaround: a [`StallPolicy`](crate::StallPolicy) for both streams.
/// * With [`HalfClose::Allow`](crate::HalfClose::Allow), a client half-closes and then vanishes, while the server sends
///   nothing. Workaround: [`CopyOptions::half_close_timeout`].
///
/// While the other side does not take its data, the copy stops reading, and a FIN behind the unread data cannot be
/// [seen](crate#what-cannot-be-seen). A reset can.
///
/// # Errors
///
/// None. An error closes its stream, and is the reason of that stream in the outcome. A stream whose write accepts zero
/// bytes is [aborted](crate::CloseReason::Aborted).
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read from one stream and not yet accepted by the other one are lost with the future,
/// at most a buffer for each direction. The streams remain usable.
///
/// ```
/// use hangup::{CloseReason, MonitoredStream, copy_bidirectional};
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
/// let mut server = backend.accept().await?.0;
///
/// client.write_all(b"hello").await?;
/// drop(client);
/// let copied = copy_bidirectional(&mut a, &mut b).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// assert_eq!(copied.a.transfer.read, 5);
/// assert_eq!((copied.b.reason, copied.b.transfer.accepted), (None, 5));
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// # Ok(())
/// # }
/// ```
///
/// A client that sends everything, half-closes, and then waits for the answer, as `nc -N` does. Both streams allow half-closes,
/// so the relay passes the FIN on and keeps the way back open:
///
/// ```
/// use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredListener, MonitoredStream, copy_bidirectional};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// let backend = TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = MonitoredListener::bind("127.0.0.1:0").await?.config(config.clone());
/// let mut client = TcpStream::connect(proxy.local_addr()?).await?;
/// let (mut a, _) = proxy.accept().await?;
/// let connected = TcpStream::connect(backend.local_addr()?).await?;
/// let mut b = MonitoredStream::with_config(connected, &config)?;
/// let (mut server, _) = backend.accept().await?;
/// let relay = tokio::spawn(async move { copy_bidirectional(&mut a, &mut b).await });
///
/// client.write_all(b"all of it").await?;
/// client.shutdown().await?;
/// let mut request = String::new();
/// server.read_to_string(&mut request).await?; // to the end that the client has sent
/// assert_eq!(request, "all of it");
/// server.write_all(b"the answer").await?;
/// drop(server);
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "the answer");
/// assert_eq!(relay.await?.b.reason, Some(CloseReason::Finished));
/// # Ok(())
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(
    a: &mut MonitoredStream<A>,
    b: &mut MonitoredStream<B>,
) -> CopyOutcome
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_bidirectional_with_sizes(a, b, BUFFER, BUFFER).await
}

/// As [`copy_bidirectional`], with buffers of these sizes in bytes: the largest number of bytes that one read takes from
/// `a` and from `b`. The default is 16 KiB. Larger buffers need fewer system calls, and memory for each connection.
///
/// # Panics
///
/// If a size is 0.
///
/// # Cancel safety
///
/// As [`copy_bidirectional`]: not cancel safe.
///
/// ```
/// use hangup::{CloseReason, MonitoredStream, copy_bidirectional_with_sizes};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (a, mut client) = tokio::io::duplex(1024);
/// let (b, mut server) = tokio::io::duplex(1024);
/// let (mut a, mut b) = (MonitoredStream::unwatched(a), MonitoredStream::unwatched(b));
/// client.write_all(b"an upload").await?;
/// drop(client);
/// // Uploads are large and answers small.
/// let copied = copy_bidirectional_with_sizes(&mut a, &mut b, 256 << 10, 4 << 10).await;
/// assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
/// let mut received = String::new();
/// server.read_to_string(&mut received).await?;
/// assert_eq!(received, "an upload");
/// # Ok(())
/// # }
/// ```
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut MonitoredStream<A>,
    b: &mut MonitoredStream<B>,
    a_to_b: usize,
    b_to_a: usize,
) -> CopyOutcome
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let options = CopyOptions::new().buffer_sizes(a_to_b, b_to_a);
    options.copy(a, b).await
}
