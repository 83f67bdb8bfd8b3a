//! What `connect` returns: a stream and its monitor.

use crate::monitor::Monitor;
use crate::policy::MonitorConfig;
use crate::stream::MonitoredStream;
use std::fmt;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection of an outbox: a stream and its monitor.
///
/// `connect` returns something that converts into it:
///
/// | `connect` returns | the outbox uses |
/// |---|---|
/// | [`TcpStream`], `UnixStream` | a [`MonitoredStream`] around it, with [`Builder::dead_peer_timeout`](super::Builder::dead_peer_timeout) |
/// | [`MonitoredStream`] | the stream as it is, and its own monitor |
/// | [`Connection::over`]`(stream, monitor)` | the stream, with the monitor of the stream below it: for TLS and similar layers |
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::outbox::Connection;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let tcp = MonitoredStream::new(tokio::net::TcpStream::connect(address).await?)?;
/// let monitor = tcp.monitor();
/// # let connector = |tcp| tokio::io::BufReader::new(tcp);
/// let tls = connector(tcp);
/// let connection = Connection::over(tls, monitor);
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
///
/// A protocol that begins with a login. `connect` logs in before the outbox writes, within
/// [`Builder::connect_timeout`](super::Builder::connect_timeout). It wraps the stream first, so that the bytes of the login are
/// counted too, and do not pass for acknowledged messages:
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::outbox::Outbox;
/// use std::io::{self, ErrorKind};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let connect = move || async move {
///     let mut stream = MonitoredStream::new(TcpStream::connect(address).await?)?;
///     stream.write_all(b"LOGIN robot7\n").await?;
///     let mut answer = [0; 3];
///     stream.read_exact(&mut answer).await?;
///     match &answer {
///         b"OK\n" => Ok(stream),
///         _ => Err(io::Error::new(ErrorKind::PermissionDenied, "the station refuses the login")),
///     }
/// };
/// let outbox = Outbox::builder(connect, LinesCodec::new)
///     // In place of the default rule: a password does not become right by itself.
///     .give_up_on(|error| matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput))
///     .spawn()?;
/// drop(outbox.send("door opened").await?);
///
/// let (mut station, _) = listener.accept().await?;
/// let mut login = [0; 13];
/// station.read_exact(&mut login).await?;
/// assert_eq!(&login, b"LOGIN robot7\n");
/// station.write_all(b"OK\n").await?;
/// let mut line = [0; 12];
/// station.read_exact(&mut line).await?;
/// assert_eq!(&line, b"door opened\n");
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    open: Open,
}

type Open = Box<dyn FnOnce(&MonitorConfig) -> io::Result<Parts> + Send>;

pub(crate) struct Parts {
    pub(crate) stream: Pin<Box<dyn Stream>>,
    pub(crate) monitor: Monitor,
    /// Whether the monitor counts the bytes of this stream, and not those of a stream below it.
    pub(crate) direct: bool,
}

/// Both directions of a byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

impl Connection {
    /// A stream, and the monitor of the stream below it.
    ///
    /// The acknowledged bytes are those of the stream below: known for TLS above a
    /// `MonitoredStream<TcpStream>`, and unknown for a `MonitoredStream` above TLS.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Connection, Outbox};
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt, BufStream};
    /// use tokio::net::{TcpListener, TcpStream};
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let connect = move || async move {
    ///     let tcp = MonitoredStream::new(TcpStream::connect(address).await?)?;
    ///     let monitor = tcp.monitor();
    ///     Ok(Connection::over(BufStream::new(tcp), monitor)) // TLS in place of the buffer
    /// };
    /// let outbox = Outbox::builder(connect, LinesCodec::new).spawn()?;
    /// drop(outbox.send("door opened").await?);
    /// let (mut peer, _) = listener.accept().await?;
    /// let mut line = [0; 12];
    /// peer.read_exact(&mut line).await?;
    /// assert_eq!(&line, b"door opened\n");
    /// # outbox.shutdown(Duration::ZERO).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<S>(stream: S, monitor: Monitor) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self::new(stream, monitor, false)
    }

    fn new<S>(stream: S, monitor: Monitor, direct: bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let stream = Box::pin(stream);
        Self {
            open: Box::new(move |_| {
                Ok(Parts {
                    stream,
                    monitor,
                    direct,
                })
            }),
        }
    }

    /// Returns the stream and its monitor. A stream without a monitor gets one with `config`.
    pub(crate) fn open(self, config: &MonitorConfig) -> io::Result<Parts> {
        (self.open)(config)
    }
}

impl<S> From<MonitoredStream<S>> for Connection
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    fn from(stream: MonitoredStream<S>) -> Self {
        let monitor = stream.monitor();
        Self::new(stream, monitor, true)
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Self {
            open: Box::new(|config| {
                let stream = MonitoredStream::with_config(stream, config)?;
                Self::from(stream).open(config)
            }),
        }
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Connection {
    fn from(stream: tokio::net::UnixStream) -> Self {
        Self {
            open: Box::new(|config| Self::from(MonitoredStream::new(stream)?).open(config)),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
