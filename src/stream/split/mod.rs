//! The two halves of a stream, owned or borrowed, which two tasks may use at the same time.
//! May use the wrapper.
//! Used by the transfers, which send files on a write half.
//!
//! | | [`into_split`](MonitoredStream::into_split) | [`split`](MonitoredStream::split) |
//! |---|---|---|
//! | the halves | own the stream; for two tasks | borrow it; for two futures of one task |
//! | dropping the write half | shuts the sending direction down | does nothing |
//! | dropping both | drops the stream | ends the borrow |
//! | back to one stream | `reunite` | when the borrow ends |

mod cell;
mod owned_read_half;
mod owned_write_half;
mod read_half;
mod reunite;
mod write_half;

pub use owned_read_half::OwnedReadHalf;
pub use owned_write_half::OwnedWriteHalf;
pub use read_half::ReadHalf;
pub use reunite::ReuniteError;
pub use write_half::WriteHalf;

use super::monitored_stream::MonitoredStream;
use cell::SplitCell;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S: AsyncRead + AsyncWrite + Unpin> MonitoredStream<S> {
    /// Splits the stream into halves that two tasks can own. Both return the same monitor.
    ///
    /// Dropping the write half shuts down the sending direction, so the peer sees EOF, as with
    /// [`TcpStream::into_split`](tokio::net::TcpStream::into_split). `tokio::io::split` does not do this. The
    /// stream is dropped with the second half. [`reunite`](OwnedReadHalf::reunite) returns it.
    ///
    /// It works for any stream, including TLS, and takes one allocation. The halves never block a thread: if the other
    /// half is in the middle of a call (a system call or a TLS record), the task is woken after that call.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// let monitor = stream.monitor();
    /// let (mut reader, mut writer) = stream.into_split();
    ///
    /// let sender = tokio::spawn(async move { writer.write_all(b"all").await });
    /// let mut received = String::new();
    /// client.read_to_string(&mut received).await?; // to the end: the write half is gone
    /// assert_eq!(received, "all");
    /// sender.await??;
    ///
    /// client.write_all(b"thanks").await?;
    /// drop(client);
    /// let mut answer = String::new();
    /// reader.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "thanks");
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Finished));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        let cell = Arc::new(SplitCell::new(self));
        (OwnedReadHalf::new(cell.clone()), OwnedWriteHalf::new(cell))
    }

    /// Splits the stream into halves that borrow it, for two futures of one task.
    ///
    /// Unlike with the [owned halves](Self::into_split), dropping a half does nothing: the stream stays open.
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
    /// client.write_all(b"ping").await?;
    /// {
    ///     let (mut reader, mut writer) = stream.split();
    ///     let mut ping = [0; 4];
    ///     let (read, written) = tokio::join!(reader.read_exact(&mut ping), writer.write_all(b"pong"));
    ///     (read?, written?);
    /// }
    /// stream.write_all(b"!").await?;
    /// drop(stream);
    /// let mut received = String::new();
    /// client.read_to_string(&mut received).await?;
    /// assert_eq!(received, "pong!");
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
        let cell = Arc::new(SplitCell::new(self));
        (ReadHalf::new(cell.clone()), WriteHalf::new(cell))
    }
}
