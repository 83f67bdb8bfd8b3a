//! Accepting connections.

use super::accept_retry::AcceptRetry;
use super::inherited::Turn;
use super::listener::MonitoredListener;
use super::monitored_stream::MonitoredStream;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;

impl MonitoredListener {
    pub(crate) fn poll_accept_retrying(
        &self,
        retry: &mut AcceptRetry,
        cx: &mut Context<'_>,
    ) -> Poll<(MonitoredStream<TcpStream>, SocketAddr)> {
        retry.poll(
            cx,
            |cx| self.poll_accept(cx),
            |error| self.report_accept_error(error),
        )
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::accept`](tokio::net::TcpListener::accept), and those of [`MonitoredStream::new`], which drops the connection. A server should
    /// continue after most of them, for example after a client that has already left, or a temporary lack of descriptors.
    /// [`accept_retrying`](Self::accept_retrying) does this.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, address) = listener.accept().await?;
    /// assert_eq!(address, client.local_addr()?);
    /// assert!(!stream.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> io::Result<(MonitoredStream<TcpStream>, SocketAddr)> {
        let turn = self.inherited().turn();
        let (io, address) = self.listener.accept().await?;
        Ok((self.wrap(io, turn)?, address))
    }

    fn wrap(&self, io: TcpStream, turn: Turn) -> io::Result<MonitoredStream<TcpStream>> {
        let inherited = self.inherited();
        let known = inherited.known(turn);
        if !known.is_configured() {
            inherited.prepare(&io)?;
            if let Some(nodelay) = self.nodelay {
                io.set_nodelay(nodelay)?;
            }
        }
        let stream = MonitoredStream::wrap_known(io, known, &self.config)?;
        if let Some(connections) = self.connections.get() {
            connections.add(&stream.monitor());
        }
        Ok(stream)
    }

    /// Waits for the next connection, and continues after errors: as [`accept`](Self::accept), for servers that an error
    /// must not end.
    ///
    /// After an error of one connection (a client that has already left) it accepts the next one immediately. When
    /// descriptors or memory have run out, the connection stays in the kernel's queue, and the next attempt is 100 ms
    /// later. [`on_accept_error`](Self::on_accept_error) is called in both cases.
    ///
    /// A connection that was accepted and cannot be watched is closed. That is so when the epoll watches of the user have
    /// run out (`max_user_watches`, epoll(7)), and for each connection if the [`config`](Self::config) has a value that is
    /// out of its range: see [`MonitorConfig::check`](crate::MonitorConfig::check).
    ///
    /// # Panics
    ///
    /// If descriptors or memory have run out and the runtime was built without timers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredListener};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept_retrying().await;
    /// drop(client);
    /// assert_eq!(stream.closed().await, CloseReason::PeerClosed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The loop of a server, with a task for each connection. When it is told to stop, it closes the listener and waits for the
    /// connections:
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::task::JoinSet;
    ///
    /// /// Returns how many connections were open when it was told to stop.
    /// async fn serve(listener: MonitoredListener, stop: impl Future) -> usize {
    ///     let mut stop = std::pin::pin!(stop);
    ///     let mut tasks = JoinSet::new();
    ///     loop {
    ///         tokio::select! {
    ///             (mut stream, _) = listener.accept_retrying() => {
    ///                 tasks.spawn(async move {
    ///                     stream.write_all(b"?").await?;
    ///                     let mut name = [0; 3];
    ///                     stream.read_exact(&mut name).await?;
    ///                     stream.write_all(&name).await
    ///                 });
    ///             }
    ///             // Otherwise the set would keep the results of all connections.
    ///             Some(_) = tasks.join_next() => {}
    ///             _ = &mut stop => break,
    ///         }
    ///     }
    ///     drop(listener);
    ///     tasks.join_all().await.len()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let server = tokio::spawn(serve(listener, stopped));
    /// let mut client = tokio::net::TcpStream::connect(address).await?;
    /// assert_eq!(client.read_u8().await?, b'?');
    /// stop.send(()).unwrap();
    /// client.write_all(b"Ann").await?; // it was connected before
    /// let mut answer = [0; 3];
    /// client.read_exact(&mut answer).await?;
    /// assert_eq!(&answer, b"Ann");
    /// assert_eq!(server.await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept_retrying(&self) -> (MonitoredStream<TcpStream>, SocketAddr) {
        let mut retry = AcceptRetry::default();
        poll_fn(|cx| self.poll_accept_retrying(&mut retry, cx)).await
    }

    /// Polls for the next connection. Only the waker of the last call is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// ```
    /// use hangup::MonitoredListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (_, address) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// assert_eq!(address, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(MonitoredStream<TcpStream>, SocketAddr)>> {
        let turn = self.inherited().turn();
        let (io, address) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(self.wrap(io, turn).map(|stream| (stream, address)))
    }
}
