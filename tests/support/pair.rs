//! Connected pairs of real sockets: ours in the runtime, the peer's a plain blocking one.

use super::DEADLINE;
use socket2::SockRef;
use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket as AsRawFd, AsSocket as AsFd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A kind of socket.
pub(crate) trait Pair {
    type Ours: AsyncRead + AsyncWrite + AsRawFd + AsFd + Debug + Unpin + Send + Sync + 'static;
    type Peer: Peer;

    const TCP: bool;

    /// Two connected sockets. Must be called within a runtime.
    fn pair() -> (Self::Ours, Self::Peer);
}

/// The other end.
pub(crate) trait Peer: Read + Write + AsFd + Send + Sized + 'static {
    /// Half-closes: a FIN, and the peer reads on.
    fn finish(&self) {
        SockRef::from(self).shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves so that our side sees a reset, whatever it has done before.
    fn reset(self);

    /// Writes until the kernel takes no more, and tells how many bytes it took.
    fn fill(&mut self) -> usize {
        SockRef::from(&*self).set_nonblocking(true).unwrap();
        let mut filled = 0;
        loop {
            match self.write(&[b'x'; 65536]) {
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return filled,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Peer for std::net::TcpStream {
    fn reset(self) {
        SockRef::from(&self)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

#[cfg(unix)]
impl Peer for UnixStream {
    /// A Unix socket resets its peer when it is closed with unread data (`unix_release_sock` in
    /// net/unix/af_unix.c): the caller has sent it some.
    fn reset(self) {}
}

fn tcp(address: SocketAddr) -> (tokio::net::TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    (tokio::net::TcpStream::from_std(ours).unwrap(), peer)
}

/// TCP over IPv4.
pub(crate) struct Tcp4;

impl Pair for Tcp4 {
    type Ours = tokio::net::TcpStream;
    type Peer = std::net::TcpStream;
    const TCP: bool = true;

    fn pair() -> (Self::Ours, Self::Peer) {
        tcp((Ipv4Addr::LOCALHOST, 0).into())
    }
}

/// TCP over IPv6.
pub(crate) struct Tcp6;

impl Pair for Tcp6 {
    type Ours = tokio::net::TcpStream;
    type Peer = std::net::TcpStream;
    const TCP: bool = true;

    fn pair() -> (Self::Ours, Self::Peer) {
        tcp((Ipv6Addr::LOCALHOST, 0).into())
    }
}

/// A Unix stream socket.
#[cfg(unix)]
pub(crate) struct Unix;

#[cfg(unix)]
impl Pair for Unix {
    type Ours = tokio::net::UnixStream;
    type Peer = UnixStream;
    const TCP: bool = false;

    fn pair() -> (Self::Ours, Self::Peer) {
        let (ours, peer) = UnixStream::pair().unwrap();
        peer.set_read_timeout(Some(DEADLINE)).unwrap();
        ours.set_nonblocking(true).unwrap();
        (tokio::net::UnixStream::from_std(ours).unwrap(), peer)
    }
}
