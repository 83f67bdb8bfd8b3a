//! A make-service that adds the monitor and the address of the connection to each request.

use super::accept::MonitoredAccept;
use super::peer::Peer;
use crate::monitor::Monitor;
use ::axum::extract::ConnectInfo;
use ::axum::http::Request;
use ::axum::serve::IncomingStream;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tower_service::Service;

/// Makes a service for [`axum::serve`](::axum::serve()) that adds the [`Monitor`], the [`Peer`] and axum's `ConnectInfo`
/// of the address to each request. `service` is a router, for example.
///
/// axum's `into_make_service_with_connect_info` adds only one of the three. With this function, handlers and middlewares
/// that take `ConnectInfo<SocketAddr>` keep working beside those that take a [`Monitor`].
///
/// ```
/// use axum::Router;
/// use axum::extract::ConnectInfo;
/// use axum::routing::get;
/// use hangup::axum::into_make_service;
/// use hangup::{Monitor, MonitoredListener};
/// use std::net::SocketAddr;
///
/// async fn whoami(monitor: Monitor, ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
///     assert!(!monitor.is_closed());
///     address.to_string()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// # let local = listener.local_addr()?;
/// let router = Router::new().route("/", get(whoami));
/// tokio::spawn(axum::serve(listener, into_make_service(router)).into_future());
/// # let mut client = tokio::net::TcpStream::connect(local).await?;
/// # client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// # let mut response = String::new();
/// # client.read_to_string(&mut response).await?;
/// assert!(response.ends_with(&client.local_addr()?.to_string()));
/// # Ok(())
/// # }
/// ```
pub fn into_make_service<S>(service: S) -> MakeService<S> {
    MakeService { service }
}

/// The make-service of [`into_make_service`].
///
/// axum's `serve` calls it once for each connection. It never fails.
///
/// ```
/// use axum::{Router, routing::get};
/// use hangup::axum::{MakeService, into_make_service};
///
/// let router = Router::new().route("/", get(async || "hello"));
/// let make: MakeService<Router> = into_make_service(router);
/// # drop(make);
/// ```
#[derive(Debug, Clone)]
pub struct MakeService<S> {
    service: S,
}

impl<L, S> Service<IncomingStream<'_, L>> for MakeService<S>
where
    L: MonitoredAccept,
    L::Addr: Clone + Send + Sync + 'static,
    S: Clone,
{
    type Response = ConnectionService<S, L::Addr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(ConnectionService {
            service: self.service.clone(),
            monitor: L::monitor(stream.io()),
            address: stream.remote_addr().clone(),
        }))
    }
}

/// The service of one connection: see [`into_make_service`].
///
/// It inserts into the extensions of each request, where the extractors find them:
///
/// | extension | for |
/// |---|---|
/// | [`Monitor`] | the extractor `Monitor`, and `CancelLayer` of the feature `tower` |
/// | `ConnectInfo<Monitor>` | handlers that use axum's own extractor |
/// | `ConnectInfo<Peer<A>>` | the extractor [`Peer`], and middleware that reads it |
/// | `ConnectInfo<A>` | the address alone, as with axum's `into_make_service_with_connect_info` |
#[derive(Debug, Clone)]
pub struct ConnectionService<S, A> {
    service: S,
    monitor: Monitor,
    address: A,
}

impl<S, A, B> Service<Request<B>> for ConnectionService<S, A>
where
    S: Service<Request<B>>,
    A: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let extensions = request.extensions_mut();
        extensions.insert(self.monitor.clone());
        extensions.insert(ConnectInfo(self.monitor.clone()));
        extensions.insert(ConnectInfo(Peer {
            monitor: self.monitor.clone(),
            address: self.address.clone(),
        }));
        extensions.insert(ConnectInfo(self.address.clone()));
        self.service.call(request)
    }
}
