//! The extractors.

use super::peer::Peer;
use crate::http::Exchange;
use crate::monitor::Monitor;
use ::axum::extract::connect_info::MockConnectInfo;
use ::axum::extract::{ConnectInfo, FromRequestParts};
use ::axum::http::StatusCode;
use ::axum::http::request::Parts;
use ::axum::response::{IntoResponse, Response};
#[cfg(feature = "serve")]
use std::any::Any;
use std::error::Error;
use std::fmt;
#[cfg(unix)]
use tokio::net::unix::SocketAddr as UnixAddr;

/// The connection's monitor.
///
/// # Rejection
///
/// [`NotMonitored`], if the server is neither a [`Server`](crate::serve::Server) nor serves by
/// `into_make_service_with_connect_info` of `Monitor` or [`Peer`]. In a test axum's
/// [`MockConnectInfo`](::axum::extract::connect_info::MockConnectInfo) of either stands in for it.
impl<S: Sync> FromRequestParts<S> for Monitor {
    type Rejection = NotMonitored;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotMonitored> {
        monitor(parts).ok_or(NotMonitored)
    }
}

pub(super) fn monitor(parts: &Parts) -> Option<Monitor> {
    if let Some(ConnectInfo(monitor)) = parts.extensions.get() {
        return Some(Monitor::clone(monitor));
    }
    if let Some(ConnectInfo(Peer { monitor, .. })) = parts.extensions.get::<ConnectInfo<Peer>>() {
        return Some(monitor.clone());
    }
    #[cfg(unix)]
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<Peer<UnixAddr>>>() {
        return Some(peer.monitor.clone());
    }
    #[cfg(feature = "serve")]
    if let Some(connection) = parts.extensions.get::<crate::serve::Connection>() {
        return Some(connection.monitor().clone());
    }
    if let Some(MockConnectInfo(monitor)) = parts.extensions.get() {
        return Some(Monitor::clone(monitor));
    }
    if let Some(MockConnectInfo(peer)) = parts.extensions.get::<MockConnectInfo<Peer>>() {
        let monitor = &peer.monitor;
        return Some(monitor.clone());
    }
    None
}

/// The connection's monitor, and the client's address.
///
/// # Rejection
///
/// [`NotMonitored`], if the server is neither a [`Server`](crate::serve::Server) of TCP nor serves by
/// `into_make_service_with_connect_info::<Peer>()`, nor is there a
/// [`MockConnectInfo`](::axum::extract::connect_info::MockConnectInfo) of one.
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

/// The request and its response.
///
/// # Rejection
///
/// [`NotFollowed`], if the route has not the middleware [`follow`](super::follow).
impl<S: Sync> FromRequestParts<S> for Exchange {
    type Rejection = NotFollowed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotFollowed> {
        parts.extensions.get().cloned().ok_or(NotFollowed)
    }
}

/// The rejection of [`Monitor`] and [`Peer`]: a mistake in the server, so the client gets 500.
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

/// The rejection of [`Exchange`]: a mistake in the server, so the client gets 500.
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
