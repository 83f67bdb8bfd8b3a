//! A layer that puts the addresses and the monitor of a connection where tonic looks for them.

use super::connect_info::ConnectInfo;
use crate::monitor::Monitor;
use ::http::{Extensions, Request};
use ::tonic::transport::server::TcpConnectInfo;
#[cfg(unix)]
use ::tonic::transport::server::UdsConnectInfo;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// The monitor of the connection on which a request arrived; `None` if the server does not serve
/// [monitored](super::Incoming) connections over TCP or Unix sockets.
///
/// It needs no [`ConnectionLayer`]: [`Incoming`](super::Incoming) is enough, also behind tonic's own TLS.
///
/// ```
/// use hangup::tonic::monitor;
/// use hangup::MonitoredStream;
///
/// let stream = MonitoredStream::unwatched(tokio::io::empty());
/// let mut request = tonic::Request::new("hello");
/// assert!(monitor(&request).is_none());
/// request.extensions_mut().insert(stream.monitor()); // as `ConnectionLayer` does
/// assert!(!monitor(&request).unwrap().is_closed());
/// ```
///
/// A method that computes for a client that may leave. tonic drops the method's future when the call is cancelled, but not the
/// thread:
///
/// ```
/// use hangup::{CloseReason, MonitoredStream};
/// use tonic::{Request, Response, Status};
///
/// async fn count(request: Request<u64>) -> Result<Response<u64>, Status> {
///     let monitor = hangup::tonic::monitor(&request).ok_or(Status::internal("not monitored"))?;
///     let limit = request.into_inner();
///     let counting = tokio::task::spawn_blocking(move || {
///         let counted = (0..limit).take_while(|_| !monitor.probe().is_closed()).count() as u64;
///         (counted, monitor.close_reason())
///     });
///     match counting.await.map_err(|_| Status::internal("panicked"))? {
///         (_, Some(reason)) => Err(Status::cancelled(reason.to_string())),
///         (counted, None) => Ok(Response::new(counted)),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stream = MonitoredStream::unwatched(tokio::io::empty());
/// let request = |limit| {
///     let mut request = Request::new(limit);
///     request.extensions_mut().insert(stream.monitor()); // as `ConnectionLayer` does
///     request
/// };
/// assert_eq!(count(request(1000)).await.unwrap().into_inner(), 1000);
/// let endless = count(request(u64::MAX));
/// drop(stream);
/// assert_eq!(endless.await.unwrap_err().message(), CloseReason::Dropped.to_string());
/// # }
/// ```
pub fn monitor<T>(request: &::tonic::Request<T>) -> Option<Monitor> {
    of_connection(request.extensions())
}

pub(crate) fn of_connection(extensions: &Extensions) -> Option<Monitor> {
    let given = extensions.get::<Monitor>();
    let tcp = || {
        extensions
            .get::<ConnectInfo<TcpConnectInfo>>()
            .map(ConnectInfo::monitor)
    };
    let found = given.or_else(tcp);
    #[cfg(unix)]
    let found = found.or_else(|| {
        extensions
            .get::<ConnectInfo<UdsConnectInfo>>()
            .map(ConnectInfo::monitor)
    });
    found.cloned()
}

/// Makes `Request::remote_addr` and `local_addr` work on monitored connections, and puts the [`Monitor`] itself into the
/// extensions of each request: for `Server::builder().layer(ConnectionLayer::new())`.
///
/// tonic stores one value for each connection. Here it is our [`ConnectInfo`], but `remote_addr` looks for tonic's own
/// type. The layer adds that one too.
///
/// ```no_run
/// use hangup::MonitoredListener;
/// use hangup::tonic::{ConnectionLayer, Incoming};
/// use tonic::transport::Server;
///
/// # async fn example(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = MonitoredListener::bind("[::1]:50051").await?;
/// Server::builder()
///     .layer(ConnectionLayer::new())
///     .add_routes(routes)
///     .serve_with_incoming(Incoming::new(listener))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionLayer;

impl ConnectionLayer {
    /// Creates the layer.
    ///
    /// ```
    /// use hangup::tonic::{ConnectInfo, ConnectionLayer};
    /// use hangup::{Monitor, MonitoredListener};
    /// use std::convert::Infallible;
    /// use tonic::transport::server::Connected;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let inner = service_fn(async |request: http::Request<()>| {
    ///     Ok::<_, Infallible>(request.extensions().get::<Monitor>().is_some())
    /// });
    /// let service = ConnectionLayer::new().layer(inner);
    ///
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let _client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = listener.accept().await?;
    /// let info: ConnectInfo = stream.connect_info(); // as tonic does for each connection
    /// let request = http::Request::builder().extension(info).body(()).unwrap();
    /// assert_eq!(service.oneshot(request).await, Ok(true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ConnectionLayer {
    type Service = OnConnection<S>;

    fn layer(&self, service: S) -> OnConnection<S> {
        OnConnection { service }
    }
}

/// The service of [`ConnectionLayer`].
///
/// It calls the service with the same request, into whose extensions it has put:
///
/// | extension | what it is |
/// |---|---|
/// | [`Monitor`] | the monitor of the connection, which all calls on it share |
/// | tonic's `TcpConnectInfo` | the addresses, which tonic's `Request::remote_addr` reads |
///
/// A request that came over a connection that is not monitored is passed on unchanged.
#[derive(Debug, Clone)]
pub struct OnConnection<S> {
    service: S,
}

impl<S, B> Service<Request<B>> for OnConnection<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let extensions = request.extensions_mut();
        if let Some(info) = extensions.get::<ConnectInfo>().cloned() {
            extensions.insert(info.inner().clone());
        }
        if let Some(monitor) = of_connection(extensions) {
            extensions.insert(monitor);
        }
        self.service.call(request)
    }
}
