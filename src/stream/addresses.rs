//! The addresses of a connection, and `TCP_NODELAY`, through every layer above the socket.

use super::layer::Transport;
use super::monitored_stream::MonitoredStream;
use crate::watcher::Watchable;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A stream whose connection has addresses: sockets, and layers above one, such as TLS.
///
/// It is the bound of [`MonitoredStream::peer_addr`]. A crate with a layer of its own implements it by forwarding to the
/// stream below.
///
/// ```
/// use hangup::{Addressed, MonitoredStream};
/// use tokio::io::BufStream;
/// use tokio::net::TcpStream;
///
/// struct Framed(BufStream<TcpStream>);
///
/// impl Addressed for Framed {
///     type Addr = std::net::SocketAddr;
///
///     fn local_addr(&self) -> std::io::Result<Self::Addr> {
///         self.0.get_ref().local_addr()
///     }
///
///     fn peer_addr(&self) -> std::io::Result<Self::Addr> {
///         self.0.get_ref().peer_addr()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let stream = MonitoredStream::unwatched(Framed(BufStream::new(client)));
/// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub trait Addressed {
    /// [`SocketAddr`] for TCP.
    type Addr;

    /// The address of our end.
    ///
    /// # Errors
    ///
    /// Those of the operating system (getsockname(2)).
    fn local_addr(&self) -> io::Result<Self::Addr>;

    /// The address of the peer's end.
    ///
    /// # Errors
    ///
    /// Those of the operating system (getpeername(2)): a TCP connection that was reset no longer has one.
    fn peer_addr(&self) -> io::Result<Self::Addr>;
}

macro_rules! addressed {
    ($(#[$cfg:meta])? $socket:ty, $address:ty) => {
        $(#[$cfg])?
        impl Addressed for $socket {
            type Addr = $address;

            fn local_addr(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn peer_addr(&self) -> io::Result<$address> {
                self.peer_addr()
            }
        }
    };
}

addressed!(TcpStream, SocketAddr);
addressed!(
    #[cfg(unix)]
    tokio::net::UnixStream,
    tokio::net::unix::SocketAddr
);

impl<S: Addressed> Addressed for Transport<S> {
    type Addr = S::Addr;

    fn local_addr(&self) -> io::Result<S::Addr> {
        self.get_ref().local_addr()
    }

    fn peer_addr(&self) -> io::Result<S::Addr> {
        self.get_ref().peer_addr()
    }
}

impl<S: Addressed> Addressed for MonitoredStream<S> {
    type Addr = S::Addr;

    fn local_addr(&self) -> io::Result<S::Addr> {
        self.get_ref().local_addr()
    }

    fn peer_addr(&self) -> io::Result<S::Addr> {
        self.get_ref().peer_addr()
    }
}

impl<S> MonitoredStream<S> {
    /// The address of our end, through every layer above the socket.
    ///
    /// # Errors
    ///
    /// Those of the operating system (getsockname(2)).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert_eq!(stream.local_addr()?, listener.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> io::Result<S::Addr>
    where
        S: Addressed,
    {
        self.get_ref().local_addr()
    }

    /// The address of the peer's end, through every layer above the socket.
    ///
    /// # Errors
    ///
    /// Those of the operating system (getpeername(2)): a TCP connection that was reset no longer has one. Call this
    /// early if you need the address later.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert_eq!(stream.peer_addr()?, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<S::Addr>
    where
        S: Addressed,
    {
        self.get_ref().peer_addr()
    }

    /// Whether small writes are sent immediately (`TCP_NODELAY`, tcp(7)), through every layer above the socket.
    ///
    /// # Errors
    ///
    /// Those of the operating system: a Unix socket has no such option.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// assert!(!stream.nodelay()?);
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nodelay<By>(&self) -> io::Result<bool>
    where
        S: Watchable<By>,
    {
        SockRef::from(&self.io.descriptor()).tcp_nodelay()
    }

    /// Sets whether small writes are sent immediately: see [`nodelay`](Self::nodelay).
    ///
    /// # Errors
    ///
    /// As [`nodelay`](Self::nodelay).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.get_ref().nodelay()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_nodelay<By>(&self, nodelay: bool) -> io::Result<()>
    where
        S: Watchable<By>,
    {
        SockRef::from(&self.io.descriptor()).set_tcp_nodelay(nodelay)
    }
}
