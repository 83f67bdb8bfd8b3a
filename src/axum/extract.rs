//! The extractors for handlers.

use super::peer::Peer;
use crate::http::Exchange;
use crate::monitor::Monitor;
use ::axum::extract::connect_info::MockConnectInfo;
use ::axum::extract::{ConnectInfo, FromRequestParts};
use ::axum::http::request::Parts;
use ::axum::http::{Extensions, StatusCode};
use ::axum::response::{IntoResponse, Response};
#[cfg(feature = "serve")]
use std::any::Any;
use std::error::Error;
use std::fmt;
#[cfg(unix)]
use tokio::net::unix::SocketAddr as UnixAddr;

/// Extracts the monitor of the connection.
///
/// # Rejection
///
/// [`NotMonitored`], if the request does not come from a [`Server`](crate::serve::Server), nor through
/// [`into_make_service`](super::into_make_service) or `into_make_service_with_connect_info` with `Monitor` or [`Peer`], and
/// has no `Monitor` in its extensions either. A program that serves the router by hyper itself puts it there. It finds
/// a `Peer` of a TCP or of a Unix address.
/// In a test, axum's [`MockConnectInfo`](::axum::extract::connect_info::MockConnectInfo) of either replaces the server.
impl<S: Sync> FromRequestParts<S> for Monitor {
    type Rejection = NotMonitored;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotMonitored> {
        monitor(&parts.extensions).ok_or(NotMonitored)
    }
}

/// The monitor of the connection, from wherever a request has it.
pub(crate) fn monitor(extensions: &Extensions) -> Option<Monitor> {
    if let Some(monitor) = extensions.get::<Monitor>() {
        return Some(monitor.clone());
    }
    if let Some(ConnectInfo(monitor)) = extensions.get() {
        return Some(Monitor::clone(monitor));
    }
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<Peer>>() {
        return Some(peer.monitor.clone());
    }
    #[cfg(unix)]
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<Peer<UnixAddr>>>() {
        return Some(peer.monitor.clone());
    }
    #[cfg(feature = "serve")]
    if let Some(connection) = extensions.get::<crate::serve::Connection>() {
        return Some(connection.monitor().clone());
    }
    if let Some(MockConnectInfo(monitor)) = extensions.get() {
        return Some(Monitor::clone(monitor));
    }
    if let Some(MockConnectInfo(peer)) = extensions.get::<MockConnectInfo<Peer>>() {
        return Some(peer.monitor.clone());
    }
    #[cfg(unix)]
    if let Some(MockConnectInfo(peer)) = extensions.get::<MockConnectInfo<Peer<UnixAddr>>>() {
        return Some(peer.monitor.clone());
    }
    None
}

/// Extracts the monitor of the connection and the client's address.
///
/// # Rejection
///
/// [`NotMonitored`], if the request does not come from a [`Server`](crate::serve::Server) over TCP, nor through
/// [`into_make_service`](super::into_make_service) or `into_make_service_with_connect_info::<Peer>()`. In a test, axum's
/// [`MockConnectInfo`](::axum::extract::connect_info::MockConnectInfo) of a `Peer` replaces the server.
impl<S, A> FromRequestParts<S> for Peer<A>
where
    S: Sync,
    A: Clone + Send + Sync + 'static,
{
    type Rejection = NotMonitored;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotMonitored> {
        peer(parts).ok_or(NotMonitored)
    }
}

fn peer<A: Clone + Send + Sync + 'static>(parts: &Parts) -> Option<Peer<A>> {
    if let Some(ConnectInfo(peer)) = parts.extensions.get() {
        return Some(Peer::clone(peer));
    }
    #[cfg(feature = "serve")]
    if let Some(connection) = parts.extensions.get::<crate::serve::Connection>() {
        return Some(Peer {
            monitor: connection.monitor().clone(),
            address: *(Box::new(connection.remote_addr()?) as Box<dyn Any>)
                .downcast()
                .ok()?,
        });
    }
    if let Some(MockConnectInfo(peer)) = parts.extensions.get() {
        return Some(Peer::clone(peer));
    }
    None
}

/// Extracts the handle on the request and its response.
///
/// # Rejection
///
/// [`NotFollowed`], if the route does not have the middleware [`follow`](super::follow).
impl<S: Sync> FromRequestParts<S> for Exchange {
    type Rejection = NotFollowed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotFollowed> {
        parts.extensions.get().cloned().ok_or(NotFollowed)
    }
}

/// The rejection of [`Monitor`] and [`Peer`]. The server is set up wrongly, so the client gets the status 500.
///
/// ```
/// use axum::{Router, routing::get};
/// use hangup::Monitor;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// // A plain listener has no monitors.
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let router = Router::new().route("/", get(async |_: Monitor| "hello"));
/// tokio::spawn(axum::serve(listener, router).into_future());
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.0 500") || response.starts_with("HTTP/1.1 500"));
/// assert!(response.contains("no monitor: serve a hangup::MonitoredListener"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotMonitored;

impl fmt::Display for NotMonitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no monitor: serve a hangup::MonitoredListener by `hangup::axum::into_make_service(router)` or \
             `router.into_make_service_with_connect_info::<hangup::axum::Peer>()`",
        )
    }
}

impl Error for NotMonitored {}

impl IntoResponse for NotMonitored {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// The rejection of [`Exchange`]. The server is set up wrongly, so the client gets the status 500.
///
/// ```
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use hangup::axum::NotFollowed;
///
/// # fn rejection() -> NotFollowed {
/// #     use axum::extract::FromRequestParts;
/// #     let (mut parts, ()) = axum::http::Request::new(()).into_parts();
/// #     let extracted = hangup::http::Exchange::from_request_parts(&mut parts, &());
/// #     futures::FutureExt::now_or_never(extracted).unwrap().unwrap_err()
/// # }
/// let rejection: NotFollowed = rejection(); // of a handler that takes an `Exchange`, without the middleware
/// assert!(rejection.to_string().contains("from_fn(hangup::axum::follow)"));
/// assert_eq!(rejection.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotFollowed;

impl fmt::Display for NotFollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no exchange: add `.layer(axum::middleware::from_fn(hangup::axum::follow))`")
    }
}

impl Error for NotFollowed {}

impl IntoResponse for NotFollowed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
