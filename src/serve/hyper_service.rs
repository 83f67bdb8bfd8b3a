//! Adapts hyper's services to tower's trait.

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
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use hangup::serve::{HyperService, RequestBody, serve};
    /// use http::{Request, Response};
    /// use hyper::service::service_fn;
    /// use std::convert::Infallible;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let echo = service_fn(|request: Request<RequestBody>| async move {
    ///     Ok::<_, Infallible>(Response::new(request.uri().path().to_owned()))
    /// });
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = serve(listener, HyperService::new(echo));
    /// # tokio::spawn(server.into_future());
    /// # let mut client = tokio::net::TcpStream::connect(address).await?;
    /// # client.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await?;
    /// # let mut response = String::new();
    /// # client.read_to_string(&mut response).await?;
    /// assert!(response.ends_with("/hello"));
    /// # Ok(())
    /// # }
    /// ```
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
