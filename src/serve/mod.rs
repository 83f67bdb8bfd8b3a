//! A server for HTTP/1.1 and HTTP/2, by hyper, that is fit for the open internet.
//!
//! `axum::serve` and hyper's own builders set no limits: 120 silent connections make such a server unreachable
//! at a limit of 128 descriptors. [`serve()`] takes a listener and a service (an `axum::Router`, any tower service,
//! or one of hyper's) and adds to hyper, which is unchanged:
//!
//! * limits with safe defaults, listed at [`Server`]; each use of one is counted and reported with its own
//!   [`LimitReason`];
//! * a shutdown with a deadline, and an account of it: [`Summary`];
//! * the connection's [`Monitor`](crate::Monitor) in the extensions of every request: [`Connection`]. With the
//!   feature `axum` the extractors of `Monitor` and [`Peer`](crate::axum::Peer) work without further ado;
//! * files that the kernel sends: [`file()`], [`ServeFolder`].
//!
//! ```
//! use axum::{Router, routing::get};
//! use hangup::{Monitor, MonitoredListener};
//! use hangup::serve::serve;
//! use std::time::Duration;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let hello = async |monitor: Monitor| format!("closed: {}\n", monitor.is_closed());
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let server = serve(listener, Router::new().route("/", get(hello)))
//!     .keep_alive_timeout(Duration::from_secs(30))
//!     .graceful_shutdown(async { drop(stopped.await) });
//! let server = tokio::spawn(server.into_future());
//!
//! let mut client = tokio::net::TcpStream::connect(address).await?;
//! client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
//! let mut response = String::new();
//! client.read_to_string(&mut response).await?;
//! assert!(response.starts_with("HTTP/1.1 200 OK"));
//! assert!(response.ends_with("closed: false\n"));
//!
//! stop.send(()).unwrap();
//! assert_eq!(server.await??.connections(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Files
//!
//! hyper has no way to send a file without reading it. A [`FileBody`] announces itself to the connection below
//! hyper, waits until its head is flushed, and then yields placeholders: slices of one static region. The
//! connection recognizes them by their address, and sends the file's bytes in their place by sendfile(2). Where that
//! does not fit (TLS, HTTP/2, another system, a middleware that collects or encodes the body) the file is read, 64
//! KiB at a time. Files of up to 64 KiB are always read, and leave with their head in one write. What is not in the
//! page cache is read into it on the runtime's threads for blocking work first, so no connection waits for another
//! one's disk.
//!
//! A middleware that keeps the length of a body and changes its bytes is found out too late to read the file: the
//! connection ends with an error, and no wrong byte is sent. [`FileBody::read`] is for those.
//!
//! Where an answer differs from nginx's, `docs/beside-nginx.md` says why.
//!
//! # What a hostile peer can do
//!
//! Each resource, its bound, its setting and its test are in `docs/security.md`.

mod activity;
mod byte_stream;
mod connection;
mod file;
#[cfg(feature = "tls")]
mod handshakes;
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
mod shutdown;
mod signals;
mod stream;
mod summary;
mod task;
#[cfg(feature = "tls")]
mod tls;
mod victims;

pub use connection::Connection;
pub use file::{FileBody, FileSource, FolderResponse, ServeFolder, file};
pub use hyper_service::HyperService;
pub use listener::Listener;
pub use reason::{LimitEvent, LimitReason};
pub use request_body::RequestBody;
pub use server::{Server, serve};
pub use summary::Summary;
