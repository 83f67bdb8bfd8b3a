//! The stream of connections for a tonic server.

use crate::stream::{AcceptRetry, MonitoredListener, MonitoredStream};
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The connections of a [`MonitoredListener`], for tonic's `serve_with_incoming`.
///
/// It never ends, and yields no errors: it retries after an error, as
/// [`accept_retrying`](MonitoredListener::accept_retrying) does.
///
/// tonic's graceful shutdown waits for every connection, also for a client that is connected and says nothing, and for calls that
/// never end. The [`Connections`](crate::Connections) of the listener bound it:
///
/// ```
/// use hangup::MonitoredListener;
/// use hangup::tonic::Incoming;
/// use std::time::Duration;
/// use tonic::{service::Routes, transport::Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let connections = listener.connections();
/// # let open = connections.clone();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let shutdown = async move {
///     let _ = stopped.await;
///     tokio::spawn(async move {
///         // Minutes, in a real server.
///         if connections.drain(Duration::from_millis(50)).await? > 0 {
///             connections.close_all();
///         }
///         std::io::Result::Ok(())
///     });
/// };
/// let server = Server::builder()
///     .add_routes(Routes::default()) // the services
///     .serve_with_incoming_shutdown(Incoming::new(listener), shutdown);
/// let server = tokio::spawn(server);
///
/// let silent = tokio::net::TcpStream::connect(address).await?;
/// # while open.is_empty() {
/// #     tokio::time::sleep(Duration::from_millis(1)).await;
/// # }
/// stop.send(()).unwrap();
/// server.await??; // it ends, although the client is still connected
/// # drop(silent);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming {
    listener: MonitoredListener,
    retry: AcceptRetry,
}

impl Incoming {
    /// The connections of `listener`.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::tonic::Incoming;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let mut incoming = Incoming::new(listener);
    /// let client = tokio::net::TcpStream::connect(address).await?;
    /// let stream = futures::StreamExt::next(&mut incoming).await.unwrap()?;
    /// assert_eq!(stream.get_ref().peer_addr()?, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(listener: MonitoredListener) -> Self {
        Self {
            listener,
            retry: AcceptRetry::default(),
        }
    }

    /// The wrapped listener.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::tonic::Incoming;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let incoming = Incoming::new(listener);
    /// assert!(incoming.get_ref().local_addr()?.ip().is_loopback());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_ref(&self) -> &MonitoredListener {
        &self.listener
    }
}

impl From<MonitoredListener> for Incoming {
    fn from(listener: MonitoredListener) -> Self {
        Self::new(listener)
    }
}

impl Stream for Incoming {
    type Item = io::Result<MonitoredStream<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let accepted = this.listener.poll_accept_retrying(&mut this.retry, cx);
        accepted.map(|(stream, _)| Some(Ok(stream)))
    }
}
