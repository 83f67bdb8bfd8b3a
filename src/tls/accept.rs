//! Accepting connections, and running their handshakes.

use super::ServerStream;
use super::failed_handshake::FailedHandshake;
use super::handshake::{Handshake, within};
use super::listener::TlsListener;
use crate::observe::call_foreign;
use crate::stream::{AcceptRetry, MonitoredListener, MonitoredStream};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::task::JoinError;

impl TlsListener {
    /// Waits for the next connection that has completed its handshake.
    ///
    /// Handshakes continue between two calls. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// As [`MonitoredListener::accept`]. A failed handshake is not an error. If no error may end the server, use
    /// [`accept_retrying`](Self::accept_retrying).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor);
    /// # let address = listener.local_addr()?;
    /// # let stopped = async { drop(tokio::net::TcpStream::connect(address).await) };
    /// tokio::select! {
    ///     accepted = listener.accept() => {
    ///         let (stream, peer) = accepted?;
    ///         println!("{peer} speaks {:?}", stream.get_ref().get_ref().1.protocol_version());
    ///     }
    ///     () = stopped => {} // a shutdown, for instance: no connection is lost
    /// }
    /// assert!(listener.handshakes() <= 1);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub async fn accept(&mut self) -> io::Result<(ServerStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for the next connection that has completed its handshake.
    ///
    /// Only the waker of the last call is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::task::{Context, Waker};
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor);
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(listener.poll_accept(&mut cx).is_pending()); // nobody has connected
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(ServerStream, SocketAddr)>> {
        self.poll(cx, |listener, cx| listener.poll_accept(cx))
    }

    /// Like [`accept`](Self::accept), but retries after an error, as [`MonitoredListener::accept_retrying`] does.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped, no connection is lost.
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use hangup::MonitoredListener;
    /// use hangup::tls::TlsListener;
    /// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut listener = TlsListener::new(listener, acceptor);
    /// let server = tokio::spawn(async move {
    ///     loop {
    ///         let (stream, peer) = listener.accept_retrying().await;
    ///         println!("{peer}: {:?}", stream.monitor().transfer());
    ///     }
    /// });
    /// # tokio::task::yield_now().await;
    /// assert!(!server.is_finished()); // it ends only when its task does
    /// server.abort();
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # }
    /// ```
    pub async fn accept_retrying(&mut self) -> (ServerStream, SocketAddr) {
        let mut retry = AcceptRetry::default();
        let next = poll_fn(|cx| {
            self.poll(cx, |listener, cx| {
                listener
                    .poll_accept_retrying(&mut retry, cx)
                    .map(Ok::<_, Infallible>)
            })
        });
        let Ok(accepted) = next.await;
        accepted
    }

    fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(
            &MonitoredListener,
            &mut Context<'_>,
        ) -> Poll<Result<(MonitoredStream<TcpStream>, SocketAddr), E>>,
    ) -> Poll<Result<(ServerStream, SocketAddr), E>> {
        loop {
            while let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(cx) {
                if let Some(accepted) = self.ended(ended) {
                    return Poll::Ready(Ok(accepted));
                }
            }
            if self.handshakes.len() >= self.max {
                return Poll::Pending;
            }
            match next(&self.listener, cx) {
                Poll::Ready(Ok((stream, peer))) => self.begin(stream, peer),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin(&mut self, stream: MonitoredStream<TcpStream>, peer: SocketAddr) {
        let (acceptor, timeout) = (self.acceptor.clone(), self.timeout);
        self.handshakes.spawn(async move {
            let monitor = stream.monitor();
            let layered =
                stream.layer(|lower| async move { within(timeout, acceptor.accept(lower)).await });
            Handshake {
                peer,
                stream: layered.await,
                monitor,
            }
        });
    }

    fn ended(&mut self, ended: Result<Handshake, JoinError>) -> Option<(ServerStream, SocketAddr)> {
        // A panic comes from code that the program gave to rustls, such as a certificate resolver. The panic hook has
        // printed it.
        let Handshake {
            peer,
            monitor,
            stream,
        } = ended.ok()?;
        match stream {
            Ok(stream) => Some((stream, peer)),
            Err(error) => {
                if let Some(failed) = &mut self.failed {
                    let handshake = FailedHandshake::new(peer, error, &monitor);
                    // Foreign code, which may panic.
                    call_foreign(|| failed(handshake));
                }
                None
            }
        }
    }
}
