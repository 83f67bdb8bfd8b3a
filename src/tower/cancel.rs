//! The layer that cancels handlers, and its service.

use super::cancel_future::CancelFuture;
use crate::monitor::Monitor;
use ::http::{Extensions, Request, Response};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// Cancels the handler of a request when the connection of its client closes: the handler's future is dropped.
///
/// An HTTP library drops a handler when it detects the end by itself. It does not detect it behind a pipelined request or
/// an unread body, nor if the peer is stalled. This layer uses the [`Monitor`], which does. It can also wait: within the
/// [grace period](Self::grace_period), a handler that is about to commit still completes.
///
/// | part of a request | what ends it |
/// |---|---|
/// | the handler, until it returns the response | this layer |
/// | the body of the response | [`until_closed`](crate::UntilClosedExt::until_closed), or a [`producer`](crate::http::producer) |
/// | one HTTP/2 request that the client resets, while the connection stays open | the HTTP library, which drops its handler at once |
/// | work that the handler has spawned | nothing by itself: give it the [`Monitor`] or a token |
///
/// The layer finds the monitor in the extensions of the request:
///
/// | in the extensions | put there by |
/// |---|---|
/// | a [`Monitor`] | `hangup::axum::into_make_service`, `hangup::tonic::ConnectionLayer`, or your own code |
/// | axum's `ConnectInfo<Monitor>`, or `ConnectInfo<Peer>` of a TCP or Unix address | `into_make_service_with_connect_info` |
/// | a `hangup::tonic::ConnectInfo` of TCP or a Unix socket | tonic's server |
/// | a `hangup::serve::Connection` | `hangup::serve::Server` |
///
/// A request without a monitor is passed through. The order of layers matters: a layer above this one sees the response
/// 499, and a layer below this one is dropped together with the handler.
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
    /// A layer that cancels immediately.
    ///
    /// ```
    /// use hangup::tower::CancelLayer;
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let quick = service_fn(async |_: Request<()>| {
    ///     Ok::<_, Infallible>(Response::new(String::from("the answer")))
    /// });
    /// // A request without a monitor is passed through.
    /// let answer = CancelLayer::new().layer(quick).oneshot(Request::new(())).await.unwrap();
    /// assert_eq!(answer.body(), "the answer");
    /// # }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a handler may continue after the close. Default: zero.
    ///
    /// # Panics
    ///
    /// With a grace period, the future panics at the close if the runtime has no timer.
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
///
/// It finds the connection's [`Monitor`] in the places that [`CancelLayer`] lists. A request without one
/// is passed on unchanged.
///
/// ```
/// use hangup::tower::CancelLayer;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let hello = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::from("hello"))));
/// let service = CancelLayer::new().layer(hello);
/// let response = service.oneshot(Request::new(())).await.unwrap(); // no monitor
/// assert_eq!(response.body(), "hello");
/// # }
/// ```
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
    #[cfg(feature = "axum")]
    if let Some(monitor) = crate::axum::monitor(extensions) {
        return Some(monitor);
    }
    #[cfg(feature = "tonic")]
    if let Some(monitor) = crate::tonic::of_connection(extensions) {
        return Some(monitor);
    }
    #[cfg(all(feature = "serve", not(feature = "axum")))]
    if let Some(connection) = extensions.get::<crate::serve::Connection>() {
        return Some(connection.monitor().clone());
    }
    extensions.get().cloned()
}
