//! The stream wrapper.

use super::link::Link;
use crate::errors::CloseReason;
use crate::monitor::Monitor;
use crate::policy::ReadAhead;
use crate::state::Closed;
#[cfg(feature = "test-util")]
use crate::watcher::Socket;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
#[cfg(feature = "test-util")]
use std::sync::Arc;

pin_project! {
    /// A byte stream that reports immediately when, and why, its peer disconnects.
    ///
    /// It wraps any [`AsyncRead`](tokio::io::AsyncRead) + [`AsyncWrite`](tokio::io::AsyncWrite) and forwards every call. In addition, the watcher of the runtime
    /// learns of a disconnect from the kernel, even if nobody reads or writes, and even behind unread data.
    ///
    /// # When it closes
    ///
    /// * on the peer's FIN, unless [`HalfClose`](crate::HalfClose) says otherwise,
    /// * on a reset, and on any error of a read or a write except "would block" and "interrupted",
    /// * when the peer stalls ([`StallPolicy`](crate::StallPolicy)),
    /// * when it is [aborted](Self::abort) or dropped, and when the runtime that watches it shuts down.
    ///
    /// From then on
    /// * writes fail immediately with an [`io::Error`](std::io::Error) that carries the [`CloseReason`]; a pending write, flush or
    ///   shutdown is woken and fails in the same way;
    /// * reads continue: data that arrived before the disconnect stays readable, followed by the EOF or the
    ///   error of the bare stream. After a stall or an abort a pending read is woken and fails with the reason.
    ///
    /// # After a FIN
    ///
    /// A FIN can follow an answer: a server rejects an upload with an HTTP 413, shuts down its sending direction and
    /// keeps reading. If a write failed at this point, many libraries would abandon the connection without reading the
    /// answer. So a FIN without any error refuses no write while a read is pending, or while unread input comes before
    /// the FIN. Once a read has returned EOF, writes are refused immediately. [`closed`](Self::closed), the watch
    /// channel and the token always report the FIN immediately, and the writes of a program that does not read are
    /// refused immediately.
    ///
    /// A read that was polled and then dropped counts as pending until the next read. Input that a
    /// [delayed FIN](crate::MonitorConfig::fin_delay) has moved to the side buffer is unread. Input that
    /// [`read_ahead`](crate::MonitorConfig::read_ahead) has moved there does not delay a refusal: a program that sets it wants to be
    /// stopped.
    ///
    /// Input that another layer has read and holds back is not seen. TLS holds back up to 16 KiB: above a stream of this type, and
    /// below one without a delayed FIN. There the end of a long answer to an upload may be lost, if the program reads it slowly and
    /// goes on writing. Workaround: put TLS above by [`layer`](Self::layer), which `hangup::tls` does, or set
    /// [`HalfClose::Allow`](crate::HalfClose::Allow).
    ///
    /// A reader that has read all input, and not yet the FIN behind it, looks like a program that does not read. An HTTP client is
    /// in this state while it hands on a response that has no length, and so ends with the FIN. The rest of its upload is refused, and
    /// hyper fails the response at its end. Workaround: [`HalfClose::Allow`](crate::HalfClose::Allow) for clients that upload.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut server = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// server.write_all(b"413").await?;
    /// server.shutdown().await?;
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    ///
    /// stream.write_all(b"more of the upload").await?;
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "413");
    /// assert!(stream.write_all(b"more of the upload").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The write that detects an error fails with that error itself. `CloseReason::from(&error)` gives the same
    /// reason for both.
    ///
    /// # What cannot be seen
    ///
    /// A FIN that the peer cannot send because our receive window is full (a reset is seen); whether a FIN is a
    /// half-close or a close; without a [timeout](crate::MonitorConfig::dead_peer_timeout) a peer that loses power or
    /// network. See the [crate's documentation](crate#what-cannot-be-seen).
    ///
    /// # Cancel safety
    ///
    /// It buffers nothing between two polls, so reads and writes are as cancel safe as those of the wrapped
    /// stream.
    ///
    /// # Example
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    ///
    /// drop(client);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// let error = stream.write_all(b"for nobody").await.unwrap_err();
    /// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::PeerClosed));
    /// # Ok(())
    /// # }
    /// ```
    pub struct MonitoredStream<S> {
        // Before `io`: fields are dropped in this order, and the watcher must give up the descriptor
        // before it is closed (invariant 3).
        pub(super) link: Link,
        pub(super) ahead: Option<Box<ReadAhead<S>>>,
        #[pin]
        pub(super) io: S,
    }
}

impl<S> MonitoredStream<S> {
    /// A handle on this stream, for other tasks and threads.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let monitor = stream.monitor();
    /// drop(stream);
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    /// # }
    /// ```
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.link.shared.clone())
    }

    /// Resolves with the reason when the stream closes. The future borrows nothing.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// # let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// # let mut next_event = async || { tokio::task::yield_now().await; "event\n" };
    /// # tokio::spawn(async move { drop(client) });
    /// let mut closed = stream.closed();
    /// let reason = loop {
    ///     tokio::select! {
    ///         reason = &mut closed => break reason,
    ///         event = next_event() => {
    ///             if let Err(error) = stream.write_all(event.as_bytes()).await {
    ///                 break (&error).into();
    ///             }
    ///         }
    ///     }
    /// };
    /// println!("stopped: {reason}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Closed {
        Closed::new(self.link.shared.clone())
    }

    /// Whether the stream has closed, as far as the watcher and its own I/O know. One atomic load.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// assert!(!stream.is_closed());
    /// stream.abort();
    /// assert!(stream.is_closed());
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        self.link.shared.is_closed()
    }

    /// Whether our direction is shut down.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.link.shared.is_shut_down()
    }

    /// Whether the input has ended in order, whatever has closed the stream after that.
    pub(crate) fn has_peer_finished(&self) -> bool {
        self.link.shared.has_peer_finished()
    }

    /// Why the stream closed; `None` while it is open.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// assert_eq!(stream.close_reason(), None);
    /// stream.abort();
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    /// # }
    /// ```
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.shared.close_reason()
    }

    /// Closes the stream immediately with [`CloseReason::Aborted`], and resets the connection.
    ///
    /// As [`Monitor::abort`]. The descriptor stays open until the stream is dropped.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// stream.abort();
    /// assert_eq!(stream.close_reason(), Some(CloseReason::Aborted));
    /// drop(stream);
    /// let error = client.read_u8().await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        self.monitor().abort();
    }

    /// The wrapped stream. Bytes that are written through it are not counted.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(client)?;
    /// stream.get_ref().set_nodelay(true)?;
    /// assert!(stream.get_ref().nodelay()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// The wrapped stream.
    ///
    /// Bytes that are read and written through it are not counted, and errors are not detected. Do not replace it by
    /// another stream: the watcher watches the descriptor of the first one. To get the stream itself, use
    /// [`into_inner`](Self::into_inner).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, _remote) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// stream.get_mut().write_all(b"hello").await.unwrap();
    /// assert_eq!(stream.monitor().transfer().accepted, 0);
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut S {
        self.link.share_descriptor();
        &mut self.io
    }

    /// The wrapped stream, pinned. As [`get_mut`](Self::get_mut).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, _remote) = tokio::io::duplex(64);
    /// let mut stream = std::pin::pin!(MonitoredStream::unwatched(io));
    /// stream.as_mut().get_pin_mut().write_all(b"hello").await.unwrap();
    /// assert_eq!(stream.monitor().transfer().accepted, 0);
    /// # }
    /// ```
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        let this = self.project();
        this.link.share_descriptor();
        this.io
    }

    /// Returns the wrapped stream. It stays open, and is no longer watched.
    ///
    /// Monitors report [`CloseReason::Dropped`], unless the stream has closed before. Unread input in the side buffer of
    /// [`read_ahead`](crate::MonitorConfig::read_ahead) or [`fin_delay`](crate::MonitorConfig::fin_delay) is lost.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, mut remote) = tokio::io::duplex(64);
    /// let stream = MonitoredStream::unwatched(io);
    /// let monitor = stream.monitor();
    /// let mut io = stream.into_inner();
    /// assert_eq!(monitor.close_reason(), Some(CloseReason::Dropped));
    /// remote.write_all(b"!").await.unwrap();
    /// assert_eq!(io.read_u8().await.unwrap(), b'!');
    /// # }
    /// ```
    pub fn into_inner(mut self) -> S {
        // The descriptor stays open, so the watcher has to give it up.
        self.link.registration = None;
        self.io
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn shared(&self) -> &Arc<Socket> {
        &self.link.shared
    }

    pub(crate) fn into_parts(self) -> (Link, Option<Box<ReadAhead<S>>>, S) {
        self.link.share_descriptor();
        (self.link, self.ahead, self.io)
    }

    pub(crate) fn from_parts(link: Link, ahead: Option<Box<ReadAhead<S>>>, io: S) -> Self {
        Self { link, ahead, io }
    }
}

impl<S: fmt::Debug> fmt::Debug for MonitoredStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredStream")
            .field("io", &self.io)
            .field("status", &self.link.shared.status())
            .field("watched", &self.link.registration.is_some())
            .finish()
    }
}
