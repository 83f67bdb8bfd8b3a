//! hyper's services as tower's.

use super::RequestBody;
use http::Request;
use std::task::{Context, Poll};

/// A service of hyper's for [`serve`](super::serve), which takes tower's.
///
/// ```
/// use hangup::serve::{HyperService, RequestBody};
/// use http::{Request, Response};
/// use hyper::service::service_fn;
/// use std::convert::Infallible;
///
/// let hello = service_fn(|_: Request<RequestBody>| async {
///     Ok::<_, Infallible>(Response::new(String::from("hello\n")))
/// });
/// # let listener = || -> hangup::MonitoredListener { unimplemented!() };
/// # let _ = || {
/// let server = hangup::serve::serve(listener(), HyperService::new(hello));
/// # };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HyperService<S> {
    service: S,
}

impl<S> HyperService<S> {
    /// Wraps `service`.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> tower_service::Service<Request<RequestBody>> for HyperService<S>
where
    S: hyper::service::Service<Request<RequestBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> S::Future {
        self.service.call(request)
    }
}
