//! What a FIN means.

use std::time::Duration;

/// What a FIN means while we are still sending.
///
/// A FIN says that the peer will send no more data. It does not say whether the peer still reads. On the wire a
/// half-close (`shutdown(SHUT_WR)`) and a close look the same until the peer answers our data with a reset
/// (RFC 9293, section 3.6). So the protocol has to decide:
///
/// | the protocol | choose |
/// |---|---|
/// | HTTP, server-sent events, WebSocket, gRPC, Redis, MQTT | [`Close`](Self::Close), the default |
/// | a client that pipes a file into `nc` and waits for the answer; rsh; the body of an HTTP/1.0 upload | [`Allow`](Self::Allow) |
/// | a relay that has to pass half-closes on | [`AllowFor`](Self::AllowFor) |
///
/// ```
/// use hangup::{HalfClose, MonitorConfig, MonitoredListener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let config = MonitorConfig::new().half_close(HalfClose::Allow);
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
///
/// client.write_all(b"all of my input").await?;
/// client.shutdown().await?; // "now answer"
/// let mut input = String::new();
/// stream.read_to_string(&mut input).await?;
/// stream.write_all(b"the answer").await?;
/// drop(stream);
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "the answer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HalfClose {
    /// A FIN means that the peer is gone: [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed).
    ///
    /// The default, as in Go's net/http and hyper. Clients that half-close and then read the answer are rare. Servers that
    /// keep sending to a client that has left are common.
    #[default]
    Close,
    /// After a FIN the status is [`Status::PeerFinished`](crate::Status::PeerFinished), and writes continue. Only a
    /// reset, an error or the end of our own sending closes the stream.
    ///
    /// For protocols whose client sends everything, half-closes and waits for the answer. A client that has left is
    /// detected only by the reset that answers the next write. If nothing is written, it is never detected.
    Allow,
    /// As [`Allow`](Self::Allow), while bytes move towards the peer. The stream closes with
    /// [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed) after a period of this length in which the stream
    /// accepted no byte from us and the peer took no byte from the kernel.
    ///
    /// For relays and servers that cannot wait forever for a client that has left. Choose the longest time that an
    /// answer may take. The close comes after one to two periods. The timer is a task that is spawned when the FIN
    /// arrives; before that the option costs nothing. A period of zero is the same as [`Close`](Self::Close).
    ///
    /// ```
    /// use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredListener, Status};
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = MonitorConfig::new().half_close(HalfClose::AllowFor(Duration::from_millis(50)));
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?.config(config);
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// let mut states = stream.monitor().subscribe();
    ///
    /// client.shutdown().await?; // a half-close: the client waits for an answer
    /// states.wait_for(|status| *status == Status::PeerFinished).await?;
    /// // No answer comes: the stream closes after one to two periods.
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    AllowFor(Duration),
}

impl HalfClose {
    /// Whether a FIN closes the stream.
    pub(crate) fn closes(self) -> bool {
        matches!(self, Self::Close | Self::AllowFor(Duration::ZERO))
    }
}
