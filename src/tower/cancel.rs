//! The layer and its service.

use super::cancel_future::CancelFuture;
use crate::monitor::Monitor;
use ::http::{Extensions, Request, Response};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// Cancels the handler of a request when the connection of its client is over: its future is dropped.
///
/// An HTTP library drops a handler when it notices the end by itself. It does not notice behind a pipelined request or
/// an unread body, and not for a peer that is only stalled. This layer is told by the [`Monitor`], and it can wait: within
/// the [grace period](Self::grace_period) a handler that is about to commit still completes.
///
/// It covers the handler until it returns the response. The body of a response ends by
/// [`until_closed`](crate::UntilClosedExt::until_closed) or a [`producer`](crate::http::producer). An HTTP/2 client that
/// resets one request keeps its connection: the library drops that handler at once.
///
/// It finds the monitor in the extensions of the request: a [`Monitor`] itself, as `hangup::axum::into_make_service` and
/// `hangup::tonic::ConnectionLayer` put it there, axum's `ConnectInfo<Monitor>`, or the connection of a
/// `hangup::serve::Server`. A request without one is passed through.
///
/// ```
/// use hangup::MonitoredStream;
/// use hangup::tower::CancelLayer;
/// use http::{Request, Response, StatusCode};
/// use std::convert::Infallible;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let slow = service_fn(async |_: Request<()>| {
///     std::future::pending::<()>().await;
///     Ok::<_, Infallible>(Response::new(String::from("the report")))
/// });
/// let service = CancelLayer::new().layer(slow);
///
/// let stream = MonitoredStream::unwatched(tokio::io::empty());
/// let request = Request::builder().extension(stream.monitor()).body(()).unwrap();
/// let answer = tokio::spawn(service.oneshot(request));
/// tokio::task::yield_now().await;
/// drop(stream);
/// // Nobody reads it: it is for the log.
/// assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::from_u16(499).unwrap());
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelLayer {
    grace: Duration,
}

impl CancelLayer {
    /// A layer that cancels at once.
    ///
    /// ```
    /// use hangup::tower::CancelLayer;
    ///
    /// let layer = CancelLayer::new();
    /// # let _: CancelLayer = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a handler may go on after the close. Default: not at all.
    ///
    /// # Panics
    ///
    /// A handler that outlives its client needs the timer of the runtime: without one its future panics.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::tower::CancelLayer;
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let commits = service_fn(async |_: Request<()>| {
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     Ok::<_, Infallible>(Response::new(String::from("committed")))
    /// });
    /// let service = CancelLayer::new().grace_period(Duration::from_secs(5)).layer(commits);
    ///
    /// let stream = MonitoredStream::unwatched(tokio::io::empty());
    /// let request = Request::builder().extension(stream.monitor()).body(()).unwrap();
    /// drop(stream);
    /// assert_eq!(service.oneshot(request).await.unwrap().body(), "committed");
    /// # }
    /// ```
    #[must_use]
    pub fn grace_period(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl<S> Layer<S> for CancelLayer {
    type Service = Cancel<S>;

    fn layer(&self, service: S) -> Cancel<S> {
        Cancel {
            service,
            grace: self.grace,
        }
    }
}

/// The service of [`CancelLayer`].
#[derive(Debug, Clone)]
pub struct Cancel<S> {
    service: S,
    grace: Duration,
}

impl<S, B, R> Service<Request<B>> for Cancel<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CancelFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let closed = monitor(request.extensions()).map(|monitor| monitor.closed());
        CancelFuture::new(self.service.call(request), closed, self.grace)
    }
}

fn monitor(extensions: &Extensions) -> Option<Monitor> {
    if let Some(monitor) = extensions.get::<Monitor>() {
        return Some(monitor.clone());
    }
    #[cfg(feature = "axum")]
    if let Some(::axum::extract::ConnectInfo(monitor)) = extensions.get() {
        return Some(Monitor::clone(monitor));
    }
    #[cfg(feature = "serve")]
    if let Some(connection) = extensions.get::<crate::serve::Connection>() {
        return Some(connection.monitor().clone());
    }
    None
}
