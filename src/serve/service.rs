//! Passes requests from hyper to the program's service, or refuses them.
//!
//! The checks come in this order, and the first that fails answers. The service does not see a refused request.
//!
//! | check | answer | reported as |
//! |---|---|---|
//! | there are fewer than `max_requests` requests, and fewer than `max_requests_per_address` of the address | 503, with `Retry-After: 1` | `LimitReason::Requests`, `RequestsPerAddress` |
//! | the target is no longer than `max_uri_length` | 414 | `LimitReason::UriLength` |
//! | it has no more fields than `max_headers` (on HTTP/2: hyper counts them on HTTP/1) | 431 | `LimitReason::HeadSize` |
//! | the request names exactly one valid host (RFC 9112, section 3.2) | 400 | not a limit |
//!
//! hyper answers a head that is too large or malformed before it calls this. A request counts from the call to the drop of its
//! response's body: the [`RequestGuard`] moves from the future into the body.

use super::connection::{Connection, ConnectionState, RequestGuard};
use super::response_body::ResponseBody;
use super::{LimitReason, RequestBody, host, stream};
use crate::http::Progress;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The program's service, in the form that hyper calls for the requests of one connection.
#[derive(Clone)]
pub(super) struct PerConnection<S> {
    service: S,
    connection: Arc<ConnectionState>,
}

impl<S> PerConnection<S> {
    pub(super) fn new(service: S, connection: Arc<ConnectionState>) -> Self {
        Self {
            service,
            connection,
        }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for PerConnection<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = RequestFuture<S, S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (guard, exceeded) = RequestGuard::new(self.connection.clone());
        let stream = (request.version() == Version::HTTP_2).then(|| {
            self.connection.earned_frames.request();
            let stream = Arc::new(Progress::default());
            stream::begins(stream.clone());
            stream
        });
        let mut request = request.map(|body| RequestBody::new(body, self.connection.clone()));
        // On HTTP/2 a CONNECT takes over its stream, and not the connection.
        let is_connect = request.method() == Method::CONNECT && stream.is_none();
        let limits = &self.connection.server.limits;
        let target = request.uri().path_and_query();
        let step = if let Some(reason) = exceeded {
            self.connection.limit(reason);
            Step::Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                text: "The server has too many requests at once.\n",
            }
        } else if target.is_some_and(|target| target.as_str().len() > limits.max_uri_length) {
            self.connection.limit(LimitReason::UriLength);
            Step::Refused {
                status: StatusCode::URI_TOO_LONG,
                text: "The request's target is too long.\n",
            }
        } else if stream.is_some() && has_too_many_fields(request.headers(), limits.headers()) {
            self.connection.limit(LimitReason::HeadSize);
            Step::Refused {
                status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                text: "The request has too many fields.\n",
            }
        } else if let Err(text) = host::check(&mut request) {
            Step::Refused {
                status: StatusCode::BAD_REQUEST,
                text,
            }
        } else {
            let connection = Connection::new(self.connection.clone());
            request.extensions_mut().insert(connection);
            Step::NotReady {
                service: self.service.clone(),
                request: Some(request),
            }
        };
        RequestFuture {
            step,
            guard: Some(guard),
            stream,
            is_connect,
        }
    }
}

/// Whether there are more than `max` fields. A client may cut its cookies into one field each (RFC 9113, section 8.2.3): they
/// are counted by themselves.
fn has_too_many_fields(headers: &HeaderMap, max: usize) -> bool {
    if headers.len() <= max {
        return false;
    }
    let cookies = headers.get_all(COOKIE).iter().count();
    cookies > max || headers.len() - cookies > max
}

pin_project! {
    /// A request until its response.
    pub(super) struct RequestFuture<S, F> {
        #[pin]
        step: Step<S, F>,
        guard: Option<RequestGuard>,
        stream: Option<Arc<Progress>>,
        is_connect: bool,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<S, F> {
        NotReady { service: S, request: Option<Request<RequestBody>> },
        Called { #[pin] future: F },
        Refused { status: StatusCode, text: &'static str },
    }
}

impl<S, B> Future for RequestFuture<S, S::Future>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepProj::NotReady { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let request = request.take().expect("taken once");
                    let future = service.call(request);
                    this.step.set(Step::Called { future });
                }
                StepProj::Called { future } => {
                    let response = ready!(future.poll(cx))?;
                    let guard = this.guard.take().expect("not polled after the response");
                    let stream = this.stream.take();
                    // hyper upgrades a connection on the same condition. On HTTP/2 there is no 101 (RFC 9113, section 8.6).
                    let status = response.status();
                    if stream.is_none() && status == StatusCode::SWITCHING_PROTOCOLS
                        || *this.is_connect && status.is_success()
                    {
                        guard.connection().activity.upgrade();
                    }
                    return Poll::Ready(Ok(
                        response.map(|body| ResponseBody::new(body, guard, stream))
                    ));
                }
                StepProj::Refused { status, text } => {
                    let guard = this.guard.take().expect("not polled after the response");
                    let body = ResponseBody::message(text, guard, this.stream.take());
                    let mut response = Response::new(body);
                    *response.status_mut() = *status;
                    let text = HeaderValue::from_static("text/plain; charset=utf-8");
                    response.headers_mut().insert(CONTENT_TYPE, text);
                    if *status == StatusCode::SERVICE_UNAVAILABLE {
                        let soon = HeaderValue::from_static("1");
                        response.headers_mut().insert(RETRY_AFTER, soon);
                    }
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}
