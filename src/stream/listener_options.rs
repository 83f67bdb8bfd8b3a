//! The options of a listener that the configuration of its connections may change.

use socket2::SockRef;
use std::io;
use tokio::net::TcpListener;

/// The values of the options that [`Inherited`](super::inherited::Inherited) sets.
#[derive(Debug, Clone)]
pub(super) struct ListenerOptions(Values);

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        use socket2::TcpKeepalive;
        use std::time::Duration;

        #[derive(Debug, Clone)]
        struct Values {
            nodelay: bool,
            user_timeout: Option<Duration>,
            keepalive: bool,
            keepalive_times: TcpKeepalive,
            /// Zero stands for the sysctl (`tcp_notsent_lowat` in include/net/tcp.h).
            unsent_limit: u32,
        }

        impl Values {
            fn of(socket: &SockRef<'_>) -> io::Result<Self> {
                // When another listener of the port is closed, its connections may come to this one
                // (`inet_csk_listen_stop` in net/ipv4/inet_connection_sock.c).
                if socket.reuse_port()? {
                    return Err(io::ErrorKind::Unsupported.into());
                }
                let times = TcpKeepalive::new()
                    .with_time(socket.tcp_keepalive_time()?)
                    .with_interval(socket.tcp_keepalive_interval()?)
                    .with_retries(socket.tcp_keepalive_retries()?);
                Ok(Self {
                    nodelay: socket.tcp_nodelay()?,
                    user_timeout: socket.tcp_user_timeout()?,
                    keepalive: socket.keepalive()?,
                    keepalive_times: times,
                    unsent_limit: socket.tcp_notsent_lowat()?,
                })
            }

            fn set(&self, socket: &SockRef<'_>) -> io::Result<()> {
                // It turns keepalive on.
                socket.set_tcp_keepalive(&self.keepalive_times)?;
                socket.set_keepalive(self.keepalive)?;
                socket.set_tcp_user_timeout(self.user_timeout)?;
                socket.set_tcp_notsent_lowat(self.unsent_limit)?;
                socket.set_tcp_nodelay(self.nodelay)
            }
        }
    } else {
        /// No listener is changed here.
        #[derive(Debug, Clone)]
        enum Values {}

        impl Values {
            fn of(_: &SockRef<'_>) -> io::Result<Self> {
                Err(io::ErrorKind::Unsupported.into())
            }

            fn set(&self, _: &SockRef<'_>) -> io::Result<()> {
                match *self {}
            }
        }
    }
}

impl ListenerOptions {
    /// The present values; `None` where the system has not all of the options, and if connections may come that are copies
    /// of another listener.
    pub(super) fn of(listener: &TcpListener) -> Option<Self> {
        Values::of(&SockRef::from(listener)).ok().map(Self)
    }

    /// Sets them on the listener, or on a connection.
    pub(super) fn restore(&self, socket: &SockRef<'_>) -> io::Result<()> {
        self.0.set(socket)
    }
}
