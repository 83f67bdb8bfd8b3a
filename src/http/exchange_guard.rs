//! The guard of one request.

use super::gone_reason::GoneReason;
use super::request::Request;
use std::fmt;
use std::sync::Arc;

/// Represents the interest in a response: it must live as long as somebody waits for it. Dropping it means
/// [`GoneReason::Cancelled`].
///
/// Keep it in the future that handles the request, and move it into the response with [`body`](Self::body). With hyper:
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::http::{Exchange, GoneReason};
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response, server::conn::http1, service::service_fn};
/// use hyper_util::rt::TokioIo;
/// use std::convert::Infallible;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let (io, mut client) = tokio::io::duplex(1024);
/// let stream = MonitoredStream::unwatched(io);
/// let monitor = stream.monitor();
/// let (log, mut lines) = tokio::sync::mpsc::unbounded_channel();
/// let service = service_fn(move |_: Request<Incoming>| {
///     let (exchange, guard) = Exchange::new(&monitor);
///     let log = log.clone();
///     tokio::spawn(async move { log.send(exchange.gone().await) });
///     async move {
///         // If HTTP drops this future, it drops the guard, and the exchange is cancelled.
///         let answer = Full::new(Bytes::from("hello"));
///         Ok::<_, Infallible>(Response::new(guard.body(answer)))
///     }
/// });
/// tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
///
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.ends_with("hello"));
/// assert_eq!(lines.recv().await, Some(GoneReason::Answered));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it cancels the exchange"]
pub struct ExchangeGuard {
    pub(super) shared: Arc<Request>,
    is_upgraded: bool,
}

impl ExchangeGuard {
    pub(super) fn new(shared: Arc<Request>) -> Self {
        Self {
            shared,
            is_upgraded: false,
        }
    }

    /// Marks the request as answered, for a response without a body, or with one that HTTP drops without polling it (a
    /// response to HEAD).
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::http::{Exchange, GoneReason};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// guard.answered();
    /// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
    /// # }
    /// ```
    pub fn answered(self) {
        self.shared.end(GoneReason::Answered);
    }

    /// Makes the exchange last as long as the connection, for a response that switches protocols: a WebSocket's 101, or
    /// a success in answer to CONNECT.
    ///
    /// The exchange then ends only with [`GoneReason::Connection`]. If the new protocol runs in one stream of an HTTP/2
    /// connection (RFC 8441), the end of that stream alone is not detected.
    ///
    /// ```
    /// use hangup::http::{Exchange, GoneReason};
    /// use hangup::{CloseReason, MonitoredStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let (exchange, guard) = Exchange::new(&stream.monitor());
    /// guard.upgraded();
    /// assert!(!exchange.is_gone());
    /// drop(stream); // the task that serves the WebSocket ends
    /// assert_eq!(exchange.gone().await, GoneReason::Connection(CloseReason::Dropped));
    /// # }
    /// ```
    pub fn upgraded(mut self) {
        self.is_upgraded = true;
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        if !self.is_upgraded {
            self.shared.end(GoneReason::Cancelled);
        }
    }
}

impl fmt::Debug for ExchangeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeGuard")
            .field("reason", &self.shared.reason())
            .finish()
    }
}
