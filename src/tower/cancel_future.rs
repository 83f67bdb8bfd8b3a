//! The future of a handler that ends with its client's connection.

use crate::state::Closed;
use ::http::{Response, StatusCode};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

pin_project! {
    /// The future of [`Cancel`](super::Cancel): runs the handler until the connection closes.
    ///
    /// If the handler is cancelled, it returns an empty response with nginx's status 499, "client closed request".
    /// Nobody receives that response; it is meant for layers above that log it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handler.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::tower::CancelLayer;
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let endless = service_fn(async |_: Request<()>| {
    ///     std::future::pending::<()>().await;
    ///     Ok::<_, Infallible>(Response::new(String::new()))
    /// });
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let request = Request::builder().extension(stream.monitor()).body(()).unwrap();
    /// let response = CancelLayer::new().layer(endless).oneshot(request);
    /// drop(stream);
    /// assert_eq!(response.await.unwrap().status(), 499);
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CancelFuture<F> {
        #[pin]
        handler: F,
        #[pin]
        closed: Option<Closed>,
        grace: Duration,
        // Boxed, because only the request of a client that has left needs it.
        left: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> CancelFuture<F> {
    pub(super) fn new(handler: F, closed: Option<Closed>, grace: Duration) -> Self {
        Self {
            handler,
            closed,
            grace,
            left: None,
        }
    }
}

impl<F, R, E> Future for CancelFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(closed) = this.closed.as_mut().as_pin_mut()
            && closed.poll(cx).is_ready()
        {
            this.closed.set(None);
            if this.grace.is_zero() {
                return Poll::Ready(Ok(cancelled()));
            }
            *this.left = Some(Box::pin(sleep(*this.grace)));
        }
        if let Poll::Ready(answer) = this.handler.poll(cx) {
            return Poll::Ready(answer);
        }
        let Some(left) = this.left else {
            return Poll::Pending;
        };
        ready!(left.as_mut().poll(cx));
        Poll::Ready(Ok(cancelled()))
    }
}

fn cancelled<R: Default>() -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
    response
}
