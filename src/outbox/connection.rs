//! What `connect` gives: a stream, and the monitor that tells of its fate.

use crate::{Monitor, MonitoredStream};
use std::fmt;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection for an outbox: a stream, and the monitor that tells of its fate.
///
/// It is made from what `connect` gives:
///
/// | `connect` gives | what it is |
/// |---|---|
/// | [`TcpStream`], `UnixStream` | wrapped in a [`MonitoredStream`] with the default configuration |
/// | [`MonitoredStream`] | itself, with its own monitor |
/// | [`Connection::over`]`(stream, monitor)` | TLS and the like: a stream over a monitored one |
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
pub struct Connection {
    /// A stream that could not be wrapped says so when it is used.
    pub(crate) parts: io::Result<Parts>,
}

pub(crate) struct Parts {
    pub(crate) stream: Pin<Box<dyn Stream>>,
    pub(crate) monitor: Monitor,
}

/// Both directions of a byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

impl Connection {
    /// A stream with the monitor of the stream below it.
    ///
    /// What is acknowledged is then known of the bytes below: of a TLS stream over a
    /// `MonitoredStream<TcpStream>` it is known, and of a `MonitoredStream` over a TLS stream it is not.
    pub fn over<S>(stream: S, monitor: Monitor) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self {
            parts: Ok(Parts {
                stream: Box::pin(stream),
                monitor,
            }),
        }
    }
}

impl<S> From<MonitoredStream<S>> for Connection
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    fn from(stream: MonitoredStream<S>) -> Self {
        let monitor = stream.monitor();
        Self::over(stream, monitor)
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Self::wrapped(MonitoredStream::new(stream))
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Connection {
    fn from(stream: tokio::net::UnixStream) -> Self {
        Self::wrapped(MonitoredStream::new(stream))
    }
}

impl Connection {
    fn wrapped<S>(stream: io::Result<MonitoredStream<S>>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        match stream {
            Ok(stream) => stream.into(),
            Err(error) => Self { parts: Err(error) },
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parts {
            Ok(parts) => f.debug_tuple("Connection").field(&parts.monitor).finish(),
            Err(error) => f.debug_tuple("Connection").field(error).finish(),
        }
    }
}
