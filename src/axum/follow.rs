//! The middleware that follows each request to the end of its response.

use super::NotMonitored;
use super::extract::monitor;
use crate::http::Exchange;
use ::axum::body::Body;
use ::axum::extract::Request;
use ::axum::http::{Method, StatusCode};
use ::axum::middleware::Next;
use ::axum::response::Response;

/// A middleware that follows each request to the end of its response, for [`from_fn`](::axum::middleware::from_fn).
///
/// Handlers below it can take an [`Exchange`] as an argument. The body of every response fails when the connection
/// closes.
///
/// | event | the exchange ends with |
/// |---|---|
/// | HTTP has taken the whole body; a response without a body is returned | [`Answered`](crate::http::GoneReason::Answered) |
/// | the client resets the HTTP/2 stream, and HTTP drops the handler or the body | [`Cancelled`](crate::http::GoneReason::Cancelled) |
/// | a layer between this one and the handler drops the handler, such as a timeout | the end of that layer's response, usually [`Answered`](crate::http::GoneReason::Answered) |
/// | a layer above this one drops the request | [`Cancelled`](crate::http::GoneReason::Cancelled) |
/// | the connection closes | [`Connection`](crate::http::GoneReason::Connection) |
/// | the response upgrades the connection, for a WebSocket for example | only [`Connection`](crate::http::GoneReason::Connection) |
///
/// # Errors
///
/// [`NotMonitored`], if the extractor [`Monitor`](crate::Monitor) would be rejected: see there.
///
/// ```
/// use axum::Router;
/// use axum::body::{Body, to_bytes};
/// use axum::extract::{Request, connect_info::MockConnectInfo};
/// use axum::middleware::from_fn;
/// use axum::routing::get;
/// use hangup::MonitoredStream;
/// use hangup::http::{Exchange, GoneReason};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut exchanges) = tokio::sync::mpsc::unbounded_channel();
/// let handler = move |exchange: Exchange| async move {
///     sender.send(exchange).unwrap();
///     "answer"
/// };
/// let stream = MonitoredStream::unwatched(tokio::io::empty());
/// let router = Router::new()
///     .route("/", get(handler))
///     .layer(from_fn(hangup::axum::follow))
///     .layer(MockConnectInfo(stream.monitor())); // instead of a server
///
/// let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
/// let exchange = exchanges.recv().await.unwrap();
/// assert!(!exchange.is_gone()); // the handler has returned, and the body is not sent yet
/// assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "answer");
/// assert_eq!(exchange.gone_reason(), Some(GoneReason::Answered));
/// # }
/// ```
///
/// In a server, a handler that waits for the end of its request:
///
/// ```no_run
/// use axum::Router;
/// use axum::middleware::from_fn;
/// use axum::routing::get;
/// use hangup::http::Exchange;
/// use hangup::{Monitor, MonitoredListener};
/// use std::time::Duration;
///
/// async fn report(exchange: Exchange) -> String {
///     let work = tokio::spawn(async move {
///         tokio::select! {
///             reason = exchange.gone() => Err(format!("stopped: {reason}")),
///             () = tokio::time::sleep(Duration::from_secs(60)) => Ok("the report"),
///         }
///     });
///     format!("{:?}", work.await)
/// }
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let router = Router::new()
///         .route("/report", get(report))
///         .layer(from_fn(hangup::axum::follow));
///     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
///     axum::serve(listener, router.into_make_service_with_connect_info::<Monitor>()).await
/// }
/// ```
pub async fn follow(request: Request, next: Next) -> Result<Response, NotMonitored> {
    let (mut parts, body) = request.into_parts();
    let monitor = monitor(&parts).ok_or(NotMonitored)?;
    let (exchange, guard) = Exchange::new(&monitor);
    parts.extensions.insert(exchange);
    let method = parts.method.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    if switches_protocols(&method, response.status()) {
        guard.upgraded();
        return Ok(response);
    }
    if method == Method::HEAD || has_no_body(response.status()) {
        guard.answered();
        return Ok(response);
    }
    Ok(response.map(|body| Body::new(guard.body(body))))
}

/// Whether the connection has another protocol after the response (RFC 9110, sections 9.3.6 and 15.2.2).
fn switches_protocols(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || method == Method::CONNECT && status.is_success()
}

/// Whether HTTP drops the body of such a response unread.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
