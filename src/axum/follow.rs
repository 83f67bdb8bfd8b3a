//! The middleware.

use super::NotMonitored;
use super::extract::monitor;
use crate::http::Exchange;
use ::axum::body::Body;
use ::axum::extract::Request;
use ::axum::http::{Method, StatusCode};
use ::axum::middleware::Next;
use ::axum::response::Response;

/// Follows each request to the end of its response: for [`from_fn`](::axum::middleware::from_fn).
///
/// Handlers below it take an [`Exchange`] as an argument, and every response's body fails when the
/// connection is over. What drops the handler's future or the body is below it or is HTTP itself, for an
/// HTTP/2 stream that the client has reset: [`GoneReason::Cancelled`](crate::http::GoneReason::Cancelled). The exchange
/// of an upgraded connection, such as a WebSocket, ends with the connection.
///
/// # Errors
///
/// [`NotMonitored`], if the server does not serve by `into_make_service_with_connect_info` of
/// [`Monitor`](crate::Monitor) or [`Peer`](super::Peer).
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

/// From here on the connection has another protocol (RFC 9110, sections 9.3.6 and 15.2.2).
fn switches_protocols(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || method == Method::CONNECT && status.is_success()
}

/// HTTP drops the body of such a response unread.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
