//! The report of a limit, and the shutdown.

use super::Server;
use crate::serve::LimitEvent;
use std::future::Future;
use std::time::Duration;

/// # Reports and shutdown
impl<L, S> Server<L, S> {
    /// Calls `f` at each use of a limit. The task of the connection calls it, so `f` must not block: send what it gets to
    /// a channel, or add to a counter. A flood of clients is a flood of calls.
    ///
    /// The callback gets a [`LimitEvent`] with the reason and the client's address. A program that bans addresses counts
    /// them here. `LimitReason::KeepAliveTimeout` is no misbehaviour: it is the usual end of an idle connection.
    ///
    /// ```
    /// use axum::Router;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::{LimitReason, serve};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let refused = Arc::new(AtomicUsize::new(0));
    /// let counter = refused.clone();
    /// let server = serve(listener, Router::new()).max_requests(0).on_limit(move |event| {
    ///     if event.reason == LimitReason::Requests {
    ///         counter.fetch_add(1, Relaxed);
    ///     }
    /// });
    /// tokio::spawn(server.into_future());
    ///
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).await?;
    /// assert!(response.starts_with("HTTP/1.1 503"));
    /// assert_eq!(refused.load(Relaxed), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_limit(mut self, f: impl Fn(&LimitEvent) + Send + Sync + 'static) -> Self {
        self.report.on_limit = Some(Box::new(f));
        self
    }

    /// Shuts the server down gracefully when `signal` resolves: it accepts no more connections, closes the idle ones, and
    /// lets the others finish their requests within [`shutdown_timeout`](Self::shutdown_timeout). Connections that are
    /// still open then are aborted. HTTP/2 clients get a GOAWAY frame.
    ///
    /// The listener is closed at once, so that a new process can bind the address, and a load balancer notices.
    /// Responses that never end, as server-sent events do not, last for the whole timeout: end them when `signal` resolves.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = hangup::serve::serve(listener, axum::Router::new())
    ///     .graceful_shutdown(async { drop(stopped.await) });
    /// stop.send(()).unwrap();
    /// assert_eq!(server.await?.connections(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown.graceful = Some(Box::pin(signal));
        self
    }

    /// Ends at once when `signal` resolves: aborts all connections, also during a graceful shutdown. The clients get a
    /// reset.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let (abort, aborted) = tokio::sync::oneshot::channel::<()>();
    /// let server = serve(listener, axum::Router::new()).shutdown_at_once(async { drop(aborted.await) });
    /// # let server = tokio::spawn(server.into_future());
    /// let client = tokio::net::TcpStream::connect(address).await?; // stays idle
    /// abort.send(()).unwrap();
    /// let summary = server.await??;
    /// assert_eq!(summary.connections() as usize, summary.finished() + summary.aborted());
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Use it for a second signal of your own, or for a supervisor that cannot wait. Work that must not be cut off belongs into
    /// a task of its own, which the service spawns and the program awaits: an abort drops the handlers.
    pub fn shutdown_at_once(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown.at_once = Some(Box::pin(signal));
        self
    }

    /// Shuts down at the first SIGINT or SIGTERM as [`graceful_shutdown`](Self::graceful_shutdown) does, and ends at once
    /// at the second. On systems without signals it is Ctrl-C.
    ///
    /// From the start of the server on the process no longer ends by these signals alone (tokio's
    /// [`signal`](tokio::signal) replaces their default action for the rest of the process).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use hangup::MonitoredListener;
    /// use hangup::serve::serve;
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let server = serve(listener, axum::Router::new()).shutdown_on_signals();
    /// let server = tokio::spawn(server.into_future());
    /// # tokio::task::yield_now().await;
    /// // As `kill -TERM` does, and a service manager.
    /// rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
    /// assert_eq!(server.await??.connections(), 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    pub fn shutdown_on_signals(mut self) -> Self {
        self.shutdown.on_signals = true;
        self
    }

    /// How long connections may take to finish after a shutdown has begun. Default: 30 s.
    ///
    /// It should be shorter than the time after which the service manager kills the process. systemd waits for 90 s
    /// (`TimeoutStopSec=`). Kubernetes waits for 30 s (`terminationGracePeriodSeconds`): set at most 25 s there.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use hangup::MonitoredListener;
    /// use hangup::serve::{LimitReason, serve};
    /// use std::time::Duration;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let (begin, mut begun) = tokio::sync::mpsc::channel::<()>(1);
    /// let endless = async move || {
    ///     begin.send(()).await.unwrap();
    ///     std::future::pending::<()>().await
    /// };
    /// let server = serve(listener, Router::new().route("/", get(endless)))
    ///     .shutdown_timeout(Duration::from_millis(50))
    ///     .graceful_shutdown(async move { drop(begun.recv().await) });
    /// let server = tokio::spawn(server.into_future());
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    /// let summary = server.await??;
    /// assert_eq!((summary.finished(), summary.aborted()), (0, 1));
    /// assert_eq!(summary.limits(), [(LimitReason::Shutdown, 1)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.limits.shutdown_timeout = timeout;
        self
    }
}
