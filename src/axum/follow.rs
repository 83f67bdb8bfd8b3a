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
///
/// An access log: a line for each request, when its response is over. The task is spawned before the handler runs, so it also
/// reports a handler that was dropped:
///
/// ```
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::middleware::{Next, from_fn};
/// use axum::routing::get;
/// use hangup::http::{Exchange, GoneReason};
/// use hangup::{Monitor, MonitoredListener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::sync::{mpsc, oneshot};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (log, mut lines) = mpsc::unbounded_channel();
/// let access_log = move |exchange: Exchange, request: Request, next: Next| {
///     let line = format!("{} {}", request.method(), request.uri());
///     let (status, returned) = oneshot::channel();
///     let log = log.clone();
///     tokio::spawn(async move {
///         let gone = exchange.gone().await;
///         // nginx writes 499 for a client that left before the response.
///         let status = returned.await.unwrap_or(499);
///         let whole = gone == GoneReason::Answered;
///         let _ = log.send(format!("{line} {status} {}", if whole { "whole" } else { "cut" }));
///     });
///     async move {
///         let response = next.run(request).await;
///         let _ = status.send(response.status().as_u16());
///         response
///     }
/// };
/// let router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(from_fn(access_log))
///     .layer(from_fn(hangup::axum::follow)); // above the log, which takes its `Exchange`
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let service = router.into_make_service_with_connect_info::<Monitor>();
/// tokio::spawn(axum::serve(listener, service).into_future());
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// client.read_to_end(&mut Vec::new()).await?;
/// assert_eq!(lines.recv().await.unwrap(), "GET / 200 whole");
/// # Ok(())
/// # }
/// ```
pub async fn follow(request: Request, next: Next) -> Result<Response, NotMonitored> {
    let (mut parts, body) = request.into_parts();
    let monitor = monitor(&parts.extensions).ok_or(NotMonitored)?;
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
