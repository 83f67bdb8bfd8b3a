//! The body of a request, with a minimum rate.

use super::LimitReason;
use super::connection::ConnectionState;
use super::unconstrained::unconstrained;
use crate::policy::{Stall, Step};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The body of a request that a [`Server`](super::Server) passes to the service: hyper's
/// [`Incoming`](hyper::body::Incoming), with a lowest rate.
///
/// While the service waits for it, the body has to arrive at the rate of
/// [`request_body_rate`](super::Server::request_body_rate). A slower body fails with an [`io::Error`] of the kind
/// [`TimedOut`](ErrorKind::TimedOut). Time in which the service does not poll it does not count.
///
/// Its length is not limited: axum's extractors have a limit (2 MB, `DefaultBodyLimit`), and other services can use
/// `http_body_util::Limited`. If a service answers without reading the whole body, hyper closes an HTTP/1.1
/// connection after the response; the server reads on meanwhile, for [`lingering_time`](super::Server::lingering_time).
///
/// # Errors
///
/// The errors of a frame are boxed. One of them is this crate's own: an [`io::Error`] of the kind `TimedOut`. The others are
/// hyper's: a client that leaves before the end of its body, or that sends an invalid chunk. The
/// [`Monitor`](crate::Monitor) of the connection has the reason of a disconnect.
///
/// ```
/// use hangup::MonitoredListener;
/// use hangup::serve::{HyperService, RequestBody, serve};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Limited};
/// use hyper::service::service_fn;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// /// Answers with the length of the body, and refuses one of more than 10 bytes.
/// async fn count(request: Request<RequestBody>) -> Result<Response<String>, http::Error> {
///     match Limited::new(request.into_body(), 10).collect().await {
///         Ok(body) => Ok(Response::new(format!("{} bytes", body.to_bytes().len()))),
///         Err(_) => Response::builder().status(413).body(String::new()),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// tokio::spawn(serve(listener, HyperService::new(service_fn(count))).into_future());
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
/// client.write_all(request.as_bytes()).await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.ends_with("5 bytes"));
/// # Ok(())
/// # }
/// ```
pub struct RequestBody {
    body: Incoming,
    connection: Arc<ConnectionState>,
    received: u64,
    ended: bool,
    /// The rate. It is created when the service first has to wait.
    rate: Option<Box<Stall>>,
    failed: bool,
}

impl RequestBody {
    /// The body of a request on this connection. Its rate is not measured until the service has to wait for it.
    pub(super) fn new(body: Incoming, connection: Arc<ConnectionState>) -> Self {
        Self {
            body,
            connection,
            received: 0,
            ended: false,
            rate: None,
            failed: false,
        }
    }

    /// The service has to wait for the body. Fails if the body has arrived too slowly.
    fn wait(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.rate.is_none() {
            let policy = self.connection.server.limits.request_body_rate;
            let rate = policy.map(|policy| Stall::new(policy, false)).transpose()?;
            self.rate = rate.map(Box::new);
        }
        let received = self.received;
        let Some(rate) = &mut self.rate else {
            return Ok(());
        };
        let judge = |cx: &mut Context<'_>| Poll::Ready(rate.pending(Step::Write, cx, || received));
        if unconstrained(cx, judge) == Poll::Ready(None) {
            return Ok(());
        }
        self.failed = true;
        self.connection.limit(LimitReason::RequestBodyRate);
        Err(io::Error::new(
            ErrorKind::TimedOut,
            "hangup: the request's body arrives too slowly",
        ))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match polled {
            Poll::Pending => match this.wait(cx) {
                Ok(()) => return Poll::Pending,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
            Poll::Ready(Some(Ok(ref frame))) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(None) => this.ended = true,
            Poll::Ready(_) => {}
        }
        if let Some(rate) = &mut this.rate {
            rate.done(Step::Write);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.connection.activity.body_unread();
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("body", &self.body)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
