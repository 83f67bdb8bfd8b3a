//! TLS by tokio-rustls, monitored from the first byte of the handshake to the last record.
//!
//! May use `stream` and what is below it. Used by `axum` and `serve`.
//!
//! [`accept`] and [`connect`] put TLS above a stream with [`MonitoredStream::layer`]; a [`TlsListener`] does that
//! for each of its connections. The monitors and futures of the stream below stay valid for the TLS stream.
//!
//! # Which of them to use
//!
//! | you have | use | time limit of the handshake |
//! |---|---|---|
//! | a server | [`TlsListener`]: concurrent handshakes, with a limit for their number | 10 s by default |
//! | a server with its own accept loop, or a protocol that switches to TLS later (STARTTLS) | [`accept`] in a task | none: wrap it in [`timeout`](tokio::time::timeout) |
//! | a client | [`connect`] | none: wrap it in [`timeout`](tokio::time::timeout) |
//! | another TLS library, or a proxy protocol before TLS | [`MonitoredStream::layer`] | none |
//! | axum or `hangup::serve` | give either of them a [`TlsListener`] | 10 s by default |
//!
//! # Which close reason to expect
//!
//! | the peer | our side reads or writes | our side does neither |
//! |---|---|---|
//! | closes in order: close_notify, then FIN | [`PeerClosed`], or [`Finished`] | the same |
//! | sends a FIN without close_notify | [`Truncated`] | [`PeerClosed`], or [`Finished`] |
//! | sends an alert, then FIN | [`TlsAlert`] | [`PeerClosed`], or [`Finished`] |
//! | sends an invalid record, then FIN | [`Tls`] | [`PeerClosed`], or [`Finished`] |
//! | resets | [`Reset`] | the same |
//!
//! [`Finished`] means that the FIN came after our own shutdown. Reads and writes detect the end at once, and so do
//! blocked writes. An idle stream detects it 3 ms later: for this [time](crate::MonitorConfig::fin_delay) a FIN waits
//! until TLS has said what it means. An alert or an invalid record without a FIN is detected by a read only.
//!
//! The same stream can be built in other ways:
//!
//! | type | what it reports |
//! |---|---|
//! | `MonitoredStream<TlsStream<Transport<S>>>`: [`accept`], [`connect`], [`TlsListener`], [`layer`](MonitoredStream::layer) | the table above, from the first byte of the handshake |
//! | `MonitoredStream<TlsStream<TcpStream>>` with [`fin_delay`](crate::MonitorConfig::fin_delay) | the table above, after the handshake |
//! | the same without `fin_delay` | usually [`PeerClosed`], because the watcher comes before TLS |
//! | `TlsStream<MonitoredStream<TcpStream>>` | a FIN or a reset: the stream below cannot read TLS |
//!
//! rustls' errors are recognised, and for any TLS library the kind
//! [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof).
//!
//! # How to end a TLS stream
//!
//! Call [`shutdown`](tokio::io::AsyncWriteExt::shutdown), or [`finish`](MonitoredStream::finish) if the last bytes must
//! arrive. Both send close_notify. A stream that is only dropped sends a FIN without it, and the peer cannot tell that
//! from a connection that was cut: a `hangup` peer reports [`Truncated`], and rustls returns
//! [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof). RFC 8446, section 6.1, requires the close_notify.
//!
//! ```
//! # #[cfg(feature = "ring")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hangup::tls::tokio_rustls::rustls::crypto::ring::default_provider;
//! use hangup::tls::tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
//! use hangup::{CloseReason, MonitoredListener, MonitoredStream, tls};
//! use std::sync::Arc;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! let own = rcgen::generate_simple_self_signed(["localhost".into()])?;
//! let mut roots = RootCertStore::empty();
//! roots.add(own.cert.der().clone())?;
//! let server = ServerConfig::builder_with_provider(default_provider().into())
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_single_cert(vec![own.cert.der().clone()], own.signing_key.into())?;
//! let client = ClientConfig::builder_with_provider(default_provider().into())
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//! let (acceptor, connector) = (Arc::new(server).into(), Arc::new(client).into());
//!
//! let listener = MonitoredListener::bind("127.0.0.1:0").await?;
//! for shuts_down in [true, false] {
//!     let stream = MonitoredStream::<TcpStream>::connect(listener.local_addr()?).await?;
//!     let (accepted, _) = listener.accept().await?;
//!     let (server, client) = tokio::join!(
//!         tls::accept(&acceptor, accepted),
//!         tls::connect(&connector, "localhost".try_into()?, stream),
//!     );
//!     let (mut server, mut client) = (server?, client?);
//!     server.write_all(b"hello").await?;
//!     server.flush().await?;
//!     client.read_exact(&mut [0; 5]).await?;
//!
//!     if shuts_down {
//!         client.shutdown().await?; // close_notify, then FIN
//!     }
//!     drop(client);
//!     assert_eq!(server.read(&mut [0]).await.is_ok(), shuts_down);
//!     let reason = if shuts_down { CloseReason::PeerClosed } else { CloseReason::Truncated };
//!     assert_eq!(server.closed().await, reason);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "ring"))]
//! # fn main() {}
//! ```
//!
//! # Bytes
//!
//! [`transfer`](crate::Monitor::transfer) counts the bytes above TLS. Accepted bytes are those that TLS took; it may
//! buffer up to 64 KiB of them until the socket has room. `acknowledged` is `None` once something was written,
//! because the socket carries records instead of these bytes. A [stall policy](crate::StallPolicy) counts the bytes of
//! the socket.
//!
//! # Features
//!
//! `tls` chooses no cryptography provider. The features `ring`, `aws-lc-rs` and `tls12` enable the features of
//! tokio-rustls with the same names. A program that depends on tokio-rustls itself can choose there. This module
//! re-exports the crate as [`tokio_rustls`], so that the versions match.
//!
//! # Example
//!
//! ```no_run
//! use hangup::MonitoredListener;
//! use hangup::tls::TlsListener;
//! use hangup::tls::tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
//! use std::sync::Arc;
//! use tokio::io::AsyncWriteExt;
//!
//! # fn server_config() -> ServerConfig { unimplemented!() }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let acceptor = TlsAcceptor::from(Arc::new(server_config()));
//! let listener = MonitoredListener::bind("0.0.0.0:8443").await?;
//! let mut listener = TlsListener::new(listener, acceptor);
//! loop {
//!     let (mut stream, peer) = listener.accept_retrying().await;
//!     tokio::spawn(async move {
//!         while stream.write_all(&[0; 16384]).await.is_ok() {}
//!         println!("{peer}: {}", stream.closed().await);
//!     });
//! }
//! # }
//! ```
//!
//! [`PeerClosed`]: crate::CloseReason::PeerClosed
//! [`Finished`]: crate::CloseReason::Finished
//! [`Truncated`]: crate::CloseReason::Truncated
//! [`TlsAlert`]: crate::CloseReason::TlsAlert
//! [`Tls`]: crate::CloseReason::Tls
//! [`Reset`]: crate::CloseReason::Reset

mod accept;
mod addresses;
mod failed_handshake;
mod handshake;
mod listener;
mod watchable;

pub use failed_handshake::FailedHandshake;
#[cfg(feature = "serve")]
pub(crate) use handshake::{HandshakeSettings, OnFailedHandshake, within};
pub use listener::TlsListener;
pub use tokio_rustls;
pub use watchable::ByTls;

use crate::stream::{MonitoredStream, Transport};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The server side of a TLS connection.
///
/// It reads and writes like any stream. Two steps below it is rustls' session, with what the handshake has agreed on:
///
/// ```
/// use hangup::tls::ServerStream;
/// use tokio::io::AsyncWriteExt;
///
/// /// Says hello in the protocol that was agreed on.
/// async fn greet(stream: &mut ServerStream) -> std::io::Result<()> {
///     let (_, session) = stream.get_ref().get_ref();
///     let greeting = match session.alpn_protocol() {
///         Some(b"hello/2") => "2 hello\n",
///         _ => "hello\n",
///     };
///     stream.write_all(greeting.as_bytes()).await?;
///     stream.flush().await // TLS buffers
/// }
/// # let _ = |mut stream: ServerStream| async move { greet(&mut stream).await };
/// ```
pub type ServerStream<S = TcpStream> = MonitoredStream<server::TlsStream<Transport<S>>>;

/// The client side of a TLS connection.
pub type ClientStream<S = TcpStream> = MonitoredStream<client::TlsStream<Transport<S>>>;

/// Performs the server's side of the TLS handshake on `stream`. The stream stays monitored during the handshake.
///
/// It has no time limit: wrap it in [`timeout`](tokio::time::timeout), or use a [`TlsListener`].
///
/// # Errors
///
/// As [`MonitoredStream::layer`]: the error of the handshake, or an error that carries the reason why the stream
/// closed meanwhile. `CloseReason::from(&error)` is the stream's reason in both cases.
///
/// # Cancel safety
///
/// Not cancel safe: the future owns the stream, so dropping the future closes the connection.
///
/// ```
/// # #[cfg(feature = "ring")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use hangup::{CloseReason, MonitoredListener, tls};
///
/// # let acceptor = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/doctest_acceptor.in"));
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// let monitor = stream.monitor();
/// drop(client); // in the middle of the handshake
/// let error = tls::accept(&acceptor, stream).await.unwrap_err();
/// assert_eq!(monitor.close_reason(), Some(CloseReason::from(&error)));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "ring"))]
/// # fn main() {}
/// ```
pub async fn accept<S>(
    acceptor: &TlsAcceptor,
    stream: MonitoredStream<S>,
) -> io::Result<ServerStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.layer(|lower| acceptor.accept(lower)).await
}

/// Performs the client's side of the TLS handshake on `stream`. The stream stays monitored during the handshake.
///
/// `name` is the name that the server's certificate must have. It has no time limit: wrap it in
/// [`timeout`](tokio::time::timeout).
///
/// # Errors
///
/// As [`accept`]. A certificate that we refuse is [`CloseReason::Tls`](crate::CloseReason::Tls).
///
/// # Cancel safety
///
/// Not cancel safe: the future owns the stream, so dropping the future closes the connection.
///
/// A client that limits the handshake, and learns what was agreed on:
///
/// ```no_run
/// use hangup::MonitoredStream;
/// use hangup::tls::{connect, tokio_rustls::TlsConnector};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
///
/// # async fn example(connector: TlsConnector) -> Result<(), Box<dyn std::error::Error>> {
/// let stream = MonitoredStream::<TcpStream>::connect("example.com:443").await?;
/// let monitor = stream.monitor();
/// let handshake = connect(&connector, "example.com".try_into()?, stream);
/// let stream = tokio::time::timeout(Duration::from_secs(10), handshake).await??;
/// let (_, session) = stream.get_ref().get_ref();
/// println!("{:?}, {:?}", session.protocol_version(), session.alpn_protocol());
/// # drop(monitor);
/// # Ok(())
/// # }
/// ```
///
/// A client that does not trust the server. Both sides report the same failure, each from its own point of view:
///
/// ```
/// # #[cfg(feature = "ring")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hangup::tls::tokio_rustls::rustls::{ClientConfig, RootCertStore};
/// use hangup::{CloseReason, MonitoredListener, MonitoredStream, tls};
/// use std::sync::Arc;
/// use tokio::net::TcpStream;
/// # use hangup::tls::tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider};
///
/// # let own = rcgen::generate_simple_self_signed(["localhost".into()])?;
/// # let server = ServerConfig::builder_with_provider(default_provider().into())
/// #     .with_safe_default_protocol_versions()?
/// #     .with_no_client_auth()
/// #     .with_single_cert(vec![own.cert.der().clone()], own.signing_key.into())?;
/// # let acceptor = Arc::new(server).into();
/// let client = ClientConfig::builder_with_provider(default_provider().into())
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(RootCertStore::empty()) // it trusts nobody
///     .with_no_client_auth();
/// let connector = Arc::new(client).into();
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let stream = MonitoredStream::<TcpStream>::connect(listener.local_addr()?).await?;
/// let (accepted, _) = listener.accept().await?;
/// let (server, client) = tokio::join!(
///     tls::accept(&acceptor, accepted),
///     tls::connect(&connector, "localhost".try_into()?, stream),
/// );
/// assert_eq!(CloseReason::from(&client.unwrap_err()), CloseReason::Tls);
/// assert_eq!(CloseReason::from(&server.unwrap_err()), CloseReason::TlsAlert);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "ring"))]
/// # fn main() {}
/// ```
pub async fn connect<S>(
    connector: &TlsConnector,
    name: ServerName<'static>,
    stream: MonitoredStream<S>,
) -> io::Result<ClientStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.layer(|lower| connector.connect(name, lower)).await
}
