//! The constructors of a stream.

use super::half_close::HalfCloseTimer;
use super::link::{Link, stall};
use super::monitored_stream::MonitoredStream;
use super::wrap_error::WrapError;
use crate::monitor::Monitor;
use crate::policy::{MonitorConfig, ReadAhead};
use crate::watcher::{Known, Registration, Socket, Watchable};
use rustix::fd::BorrowedFd;
use socket2::SockRef;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S> MonitoredStream<S> {
    /// Wraps `io`, and lets the watcher of the current runtime watch its descriptor.
    ///
    /// `io` is anything [`Watchable`]: a [`TcpStream`](tokio::net::TcpStream), a `UnixStream`, a pipe, or a TLS stream
    /// over one of them. Call it in the runtime in which `io` was created. That runtime keeps watching the stream,
    /// wherever the stream moves.
    ///
    /// A socket has to be connected, or connecting: one that never was looks like one whose connection has ended. The system
    /// tells the error of a socket once, and the watcher reads it: after a connection attempt ask
    /// [`close_reason`](Self::close_reason), and not [`take_error`](tokio::net::TcpStream::take_error) of the wrapped stream.
    ///
    /// The kind of the descriptor is determined once, here. If the same socket is also watched under another descriptor
    /// (`dup`), or in another runtime, only one of the two watchers sees an error of the socket.
    ///
    /// # Errors
    ///
    /// * [`NotConnected`](io::ErrorKind::NotConnected): this is not called in a runtime, or the runtime is shutting
    ///   down;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without I/O, or without the timer that a
    ///   stall policy, [`HalfClose::AllowFor`](crate::HalfClose::AllowFor) or a FIN delay needs (the panic hook also prints tokio's panic message);
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): the descriptor is a file, a device, a terminal, a listener or a
    ///   datagram socket, which have no peer that could leave;
    /// * [`AlreadyExists`](io::ErrorKind::AlreadyExists): another `MonitoredStream` of this runtime watches the same
    ///   descriptor;
    /// * an error of the operating system, for example because a limit is reached.
    ///
    /// An error drops `io`, which closes its connection. [`try_new`](Self::try_new) returns it instead.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = MonitoredStream::new(listener.accept().await?.0)?;
    /// assert!(!stream.is_closed());
    /// drop(client);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new<By>(io: S) -> io::Result<Self>
    where
        S: Watchable<By>,
    {
        Ok(Self::try_new(io)?)
    }

    pub(super) fn wrap<By>(
        io: S,
        known: Known,
        config: &MonitorConfig,
        ahead: Option<Box<ReadAhead<S>>>,
    ) -> Result<Self, WrapError<S>>
    where
        S: Watchable<By>,
    {
        match Self::watch(&io, known, config) {
            Ok(link) => Ok(Self { link, ahead, io }),
            Err(error) => Err(WrapError::new(error, io)),
        }
    }

    fn watch<By>(io: &S, known: Known, config: &MonitorConfig) -> io::Result<Link>
    where
        S: Watchable<By>,
    {
        let timers = config.timers()?;
        let stall = stall(config)?;
        let fin_delay = config.new_fin_delay()?;
        let half_close = HalfCloseTimer::new(config.half_close_policy())?;
        let descriptor = io.descriptor();
        let socket = Socket::new(descriptor, known, config.half_close_policy(), fin_delay)?;
        let shared = Arc::new(socket);
        // The watcher defers its observations until the lifecycle has begun.
        let call = shared.enter();
        let registration = Registration::new(descriptor, &shared)?;
        if shared.can_vanish() && !known.is_configured() {
            if let Some(timers) = timers {
                timers.arm(descriptor)?;
                #[cfg(windows)]
                shared.limit_retransmission(timers.patience());
            }
            config.limit_unsent(descriptor)?;
        }
        begin_lifecycle(&shared, Some(descriptor));
        if let Some(timer) = half_close {
            timer.attach(&shared);
        }
        drop(call);
        Ok(Link {
            registration: Some(registration),
            shared,
            stall,
        })
    }
}

impl<S: AsyncWrite> MonitoredStream<S> {
    /// As [`with_config`](Self::with_config), for a stream that cannot be read, such as a pipe or a child's
    /// standard input.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`InvalidInput`](io::ErrorKind::InvalidInput) for
    /// [`read_ahead`](MonitorConfig::read_ahead) and [`fin_delay`](MonitorConfig::fin_delay), which read.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
    /// use std::time::Duration;
    ///
    /// let (writer, reader) = tokio::net::unix::pipe::pipe()?;
    /// let config = MonitorConfig::new().stall(StallPolicy::new(1024, Duration::from_secs(10)));
    /// let stream = MonitoredStream::write_only(writer, &config)?;
    /// drop(reader);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn write_only<By>(io: S, config: &MonitorConfig) -> io::Result<Self>
    where
        S: Watchable<By>,
    {
        Ok(Self::try_write_only(io, config)?)
    }
}

impl<S: AsyncRead> MonitoredStream<S> {
    /// As [`new`](Self::new), with a configuration.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and those of [`MonitorConfig::dead_peer_timeout`].
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig, MonitoredStream, Status};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let mut stream = MonitoredStream::with_config(listener.accept().await?.0, &config)?;
    ///
    /// client.shutdown().await?;
    /// let mut status = stream.monitor().subscribe();
    /// status.wait_for(|status| *status == Status::PeerFinished).await.unwrap();
    /// stream.write_all(b"answer").await?;
    /// stream.shutdown().await?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "answer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_config<By>(io: S, config: &MonitorConfig) -> io::Result<Self>
    where
        S: Watchable<By>,
    {
        Ok(Self::try_with_config(io, config)?)
    }
}

impl<S> MonitoredStream<S> {
    /// Wraps `io` without watching it: for streams without a descriptor, such as `tokio::io::duplex` or those of a
    /// simulation.
    ///
    /// Such a stream detects a disconnect only by the results of its own reads and writes. It needs no runtime.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, remote) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched(io);
    /// drop(remote);
    /// // Only a read or a write finds out.
    /// assert!(!stream.is_closed());
    /// assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    /// assert_eq!(stream.close_reason(), Some(CloseReason::PeerClosed));
    /// # }
    /// ```
    pub fn unwatched(io: S) -> Self {
        Self::unwatched_with_config(io, &MonitorConfig::default())
    }

    /// As [`unwatched`](Self::unwatched), with a configuration.
    ///
    /// # Panics
    ///
    /// If the configuration has a [stall policy](MonitorConfig::stall) or
    /// [`HalfClose::AllowFor`](crate::HalfClose::AllowFor), and this is not called within a runtime that has a timer.
    ///
    /// ```
    /// use hangup::{HalfClose, MonitorConfig, MonitoredStream, Status};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let config = MonitorConfig::new().half_close(HalfClose::Allow);
    /// let (io, mut remote) = tokio::io::duplex(64);
    /// let mut stream = MonitoredStream::unwatched_with_config(io, &config);
    /// remote.shutdown().await.unwrap();
    /// assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    /// assert_eq!(stream.monitor().status(), Status::PeerFinished);
    /// stream.write_all(b"answer").await.unwrap();
    /// # }
    /// ```
    pub fn unwatched_with_config(io: S, config: &MonitorConfig) -> Self {
        let stall = stall(config).unwrap_or_else(|error| panic!("{error}"));
        let timer = HalfCloseTimer::new(config.half_close_policy());
        let timer = timer.unwrap_or_else(|error| panic!("{error}"));
        let shared = Arc::new(Socket::unwatched(config.half_close_policy()));
        begin_lifecycle(&shared, None);
        if let Some(timer) = timer {
            timer.attach(&shared);
        }
        Self {
            link: Link {
                registration: None,
                shared,
                stall,
            },
            ahead: None,
            io,
        }
    }
}

/// Reports the beginning of the stream to `tracing` and `metrics`, if they are on.
fn begin_lifecycle(shared: &Arc<Socket>, descriptor: Option<BorrowedFd<'_>>) {
    let peer = || {
        let descriptor = descriptor?;
        SockRef::from(&descriptor).peer_addr().ok()?.as_socket()
    };
    let transfer = || {
        let monitor = Monitor::new(shared.clone());
        move || monitor.transfer().into()
    };
    shared.lifecycle.begin(peer, transfer);
}
