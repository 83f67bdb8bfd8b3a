//! A server for HTTP/1.1 and HTTP/2, built on hyper, with the limits that the open internet needs.
//!
//! May use `http`, `tls`, `transfer` and what is below them. `axum` and `tower` use it.
//!
//! `axum::serve` and hyper's own builders set no limits: 120 silent connections make such a server unreachable
//! at a limit of 128 descriptors. [`serve()`] takes a listener and a service (an `axum::Router`, any tower service,
//! or one of hyper's) and adds to hyper, which is unchanged:
//!
//! * limits with safe defaults, listed at [`Server`]. Each use of a limit is counted and reported with its
//!   [`LimitReason`];
//! * a shutdown with a deadline, and a [`Summary`] of how it went;
//! * the connection's [`Monitor`](crate::Monitor) in the extensions of every request: [`Connection`]. With the
//!   feature `axum` the extractors of `Monitor` and [`Peer`](crate::axum::Peer) find it there;
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
//! # When to use it
//!
//! * A server that strangers can reach, with no proxy in front of it: use it, with the defaults.
//! * A server behind a reverse proxy: use it, and set
//!   [`max_connections_per_address`](Server::max_connections_per_address) to
//!   [`max_connections`](Server::max_connections), because every connection has the proxy's address. The proxy's own
//!   keep-alive timeout must be shorter than [`keep_alive_timeout`](Server::keep_alive_timeout); otherwise the proxy may
//!   send a request on a connection that this server is closing.
//! * A program that needs hyper's own builder: give hyper a [`MonitoredStream`](crate::MonitoredStream), and use the
//!   bodies of [`hangup::http`](crate::http). The monitors work in the same way. The limits are missing.
//!
//! # The life of a connection
//!
//! 1. **Accept.** The connection counts from here on. At [`max_connections`](Server::max_connections) the oldest
//!    connection without a request is closed to make room for it.
//! 2. **Handshake**, with a [`TlsListener`](crate::tls::TlsListener): within
//!    [`handshake_timeout`](crate::tls::TlsListener::handshake_timeout). ALPN chooses the version of HTTP.
//! 3. **Head.** Within [`head_timeout`](Server::head_timeout). A head that is too large or has too many fields is
//!    answered with 431, a target that is too long with 414, a `Host` that is missing or malformed with 400.
//! 4. **Request.** At [`max_requests`](Server::max_requests) it is answered with 503. Otherwise the service is called,
//!    with a [`RequestBody`] that has to arrive at [`request_body_rate`](Server::request_body_rate).
//! 5. **Response.** The client has to read it at the rate of [`stall_policy`](Server::stall_policy). When the client
//!    leaves, the [`Monitor`](crate::Monitor) reports the reason, and hyper drops the response's body.
//! 6. **Refused upload.** If the client is still sending the request when its response is complete, an HTTP/1.1 connection
//!    is shut down in the server's direction only, and what arrives is discarded within
//!    [`lingering_time`](Server::lingering_time), so that the client gets the response.
//! 7. **Idle.** After [`keep_alive_timeout`](Server::keep_alive_timeout) an HTTP/1.1 connection is closed. An HTTP/2
//!    connection gets a GOAWAY frame first, and five seconds to close.
//!
//! A client that vanishes without a FIN is detected in each of these states by
//! [`dead_peer_timeout`](Server::dead_peer_timeout).
//!
//! # A handler that stops when its client leaves
//!
//! hyper drops the future of a handler when it reads the end of the connection. Behind a pipelined request or an unread
//! body it does not read. And a drop stops neither a task that the handler has spawned nor a blocking thread. The
//! monitor can stop both:
//!
//! ```
//! use axum::{Router, routing::get};
//! use hangup::serve::serve;
//! use hangup::{CloseReason, Monitor, MonitoredListener};
//! # use tokio::io::AsyncWriteExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
//! let compute = async move |monitor: Monitor| {
//!     let report = report.clone();
//!     tokio::task::spawn_blocking(move || {
//!         let mut steps = 0_u64;
//!         // `probe` is a system call: make a step some milliseconds long.
//!         while !monitor.probe().is_closed() {
//!             steps += 1;
//!         }
//!         report.send((steps, monitor.close_reason())).unwrap();
//!     });
//!     std::future::pending::<()>().await
//! };
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(serve(listener, Router::new().route("/", get(compute))).into_future());
//!
//! let mut client = tokio::net::TcpStream::connect(address).await?;
//! client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
//! # tokio::time::sleep(std::time::Duration::from_millis(20)).await;
//! drop(client);
//! let (_, reason) = reports.recv().await.unwrap();
//! assert_eq!(reason, Some(CloseReason::PeerClosed));
//! # Ok(())
//! # }
//! ```
//!
//! On HTTP/2 the monitor is that of the connection, which many requests share. The end of one request is reported by
//! [`Exchange::gone`](crate::http::Exchange::gone), and a [`producer`](crate::http::producer) detects both.
//!
//! # Files
//!
//! hyper has no way to send a file without reading it. A [`FileBody`] announces itself to the connection below
//! hyper, waits until its head is flushed, and then yields placeholders: slices of one static region. The
//! connection recognizes them by their address, and sends the file's bytes in their place with sendfile(2). Where that
//! does not fit (TLS, HTTP/2, another system, a middleware that collects or encodes the body) the file is read, 64
//! KiB at a time. Files of up to 64 KiB are always read, and leave with their head in one write. A part that is not
//! in the page cache is first read into it on the runtime's threads for blocking work, so no connection waits for the
//! disk of another one.
//!
//! Some middleware keeps the length of a body and changes its bytes. The connection detects this too late to read the
//! file instead: it ends with an error, and sends no wrong byte. Other middleware looks at the bytes that pass, for a checksum or
//! a cache: it sees placeholders, which are zeros. Use [`FileBody::read`] below both.
//!
//! A folder beside other routes, with `Range` requests, entity tags and compressed files:
//!
//! ```
//! use axum::{Router, routing::get};
//! use hangup::MonitoredListener;
//! use hangup::serve::{ServeFolder, serve};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("hangup-serve-guide-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! std::fs::write(folder.join("hello.txt"), "hello, world")?;
//! let router = Router::new()
//!     .route("/health", get(|| async { "ok" }))
//!     .fallback_service(ServeFolder::open(&folder)?.precompressed(true));
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(serve(listener, router).into_future());
//!
//! let mut client = tokio::net::TcpStream::connect(address).await?;
//! let request = "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nRange: bytes=7-\r\nConnection: close\r\n\r\n";
//! client.write_all(request.as_bytes()).await?;
//! let mut response = String::new();
//! client.read_to_string(&mut response).await?;
//! assert!(response.starts_with("HTTP/1.1 206 Partial Content"));
//! assert!(response.ends_with("\r\n\r\nworld"));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Draining
//!
//! A graceful shutdown has three phases, and the [`Summary`] counts how the connections ended.
//!
//! | phase | begins | idle connections | connections with requests | new connections |
//! |---|---|---|---|---|
//! | draining | with [`graceful_shutdown`](Server::graceful_shutdown) or the first signal | closed | continue; HTTP/2 clients get a GOAWAY | refused: the listener is dropped |
//! | aborting | after [`shutdown_timeout`](Server::shutdown_timeout), or at the second signal | | reset | |
//! | done | when all connections have ended | | | |
//!
//! A client in the middle of its TLS handshake or of a head has a second for the rest, and gets its response.
//!
//! Long responses such as server-sent events do not end by themselves. End them when the shutdown begins, or choose a short
//! `shutdown_timeout`.
//!
//! # Which limit was it?
//!
//! A limit is reported in four places, and all of them use the name of the [`LimitReason`]:
//!
//! * [`Server::on_limit`] is called with a [`LimitEvent`]: the reason and the client's address;
//! * [`Summary::limits`] has the counts at the end;
//! * with the feature `tracing` there is a warning for the first use in ten seconds, with the number of uses that it
//!   stands for, and a debug event for every other one;
//! * with the feature `metrics` the counter `hangup_serve_limits_total` has it as the label `reason`.
//!
//! A stalled or dead client and a reset are not limits: the monitor of the connection reports them as a
//! [`CloseReason`](crate::CloseReason).
//!
//! `docs/beside-nginx.md` lists the answers that differ from nginx's, and says why.
//!
//! # What a hostile peer can do
//!
//! `docs/security.md` lists each resource with its bound, its setting and its test.

mod activity;
mod byte_stream;
mod collected;
mod connection;
mod control_frames;
mod file;
mod handed;
#[cfg(feature = "tls")]
mod handshakes;
mod host;
mod hyper_service;
mod io;
mod limits;
mod linger;
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
mod unconstrained;
mod usage;
mod victims;

pub use connection::Connection;
pub use file::{FileBody, FileSource, FolderResponse, ServeFolder, file};
pub use hyper_service::HyperService;
pub use listener::Listener;
pub use reason::{LimitEvent, LimitReason};
pub use request_body::RequestBody;
pub use server::{Server, serve};
pub use summary::Summary;
