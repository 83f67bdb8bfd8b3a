//! For tonic: connections for its server, and the monitor in the extensions of each request.
//!
//! May use `http`, `stream` and `monitor`. Used by `tower`.
//!
//! ```no_run
//! use hangup::MonitoredListener;
//! use hangup::tonic::{ConnectInfo, Incoming};
//! use tonic::transport::Server;
//! # use tonic::{body::Body, codegen::{Context, Poll, Service, http::{Request, Response}}};
//! # #[derive(Clone)] struct Tokens;
//! # impl tonic::server::NamedService for Tokens { const NAME: &'static str = "tokens.Tokens"; }
//! # impl Service<Request<Body>> for Tokens {
//! #     type Response = Response<Body>;
//! #     type Error = std::convert::Infallible;
//! #     type Future = std::future::Ready<Result<Response<Body>, std::convert::Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> { Poll::Ready(Ok(())) }
//! #     fn call(&mut self, _: Request<Body>) -> Self::Future { std::future::ready(Ok(Response::default())) }
//! # }
//!
//! /// Called in a method of a service: the monitor of the connection that carries the call.
//! fn monitor<T>(request: &tonic::Request<T>) -> Option<hangup::Monitor> {
//!     let info = request.extensions().get::<ConnectInfo>()?;
//!     Some(info.monitor().clone())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = MonitoredListener::bind("[::1]:50051").await?;
//!     Server::builder()
//!         .add_service(Tokens)
//!         .serve_with_incoming(Incoming::new(listener))
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # The connection and the call
//!
//! gRPC runs over HTTP/2, so a client that cancels a call keeps its connection.
//!
//! | event | the [`Monitor`](crate::Monitor) | a [`producer`](crate::http::producer) as the response stream |
//! |---|---|---|
//! | the client cancels the call, or its deadline expires | stays open | its next send fails with [`Cancelled`](crate::http::GoneReason::Cancelled), because tonic drops the response stream |
//! | the client quits or its process dies | closes | its next send fails with [`Connection`](crate::http::GoneReason::Connection) |
//! | the client loses its network | closes after the [`dead_peer_timeout`](crate::MonitorConfig::dead_peer_timeout), or tonic's HTTP/2 keepalive | the same |
//! | the client does not read the response | stays open | a [`producer_with_policy`](crate::http::producer_with_policy) fails with [`Stalled`](crate::http::GoneReason::Stalled) |
//!
//! tonic drops the future of a unary call that is cancelled. Work in a task of its own goes on: let it await the
//! monitor, or give it a producer. See [`hangup::http`](crate::http).

mod connect_info;
mod connection_layer;
mod incoming;

pub use connect_info::ConnectInfo;
#[cfg(feature = "tower")]
pub(crate) use connection_layer::of_connection;
pub use connection_layer::{ConnectionLayer, OnConnection, monitor};
pub use incoming::Incoming;
