//! A server for HTTP/1.1 and HTTP/2, by hyper, that is fit for the open internet.
//!
//! [`serve`] takes a listener and a service: an `axum::Router`, any tower service, one of hyper's. HTTP is
//! hyper's, unchanged. What this adds are limits with safe defaults (see [`Server`]), each of which is told by
//! its own [`LimitReason`]; an orderly end, with a bound and an account of it ([`Summary`]); and the
//! connection's monitor in every request ([`Connection`]).

mod activity;
mod byte_stream;
mod connection;
mod file;
mod host;
mod hyper_service;
mod io;
mod limits;
mod listener;
mod prefix;
mod reason;
mod registry;
mod report;
mod request_body;
mod response_body;
mod run;
mod server;
mod service;
mod signals;
mod stream;
mod summary;
mod task;
#[cfg(feature = "tls")]
mod tls;

pub use connection::Connection;
pub use file::{FileBody, FileSource, FolderResponse, ServeFolder, file};
pub use hyper_service::HyperService;
pub use listener::Listener;
pub use reason::{LimitEvent, LimitReason};
pub use request_body::RequestBody;
pub use server::{Server, serve};
pub use summary::Summary;
