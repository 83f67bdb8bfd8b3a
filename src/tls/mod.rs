//! TLS by tokio-rustls, monitored from the first byte of the handshake to the last record.
//!
//! May use `stream` and what is below it. Used by `axum` and `serve`.
//!
//! [`accept`] and [`connect`] put TLS above a stream with [`MonitoredStream::layer`]; a [`TlsListener`] does that
//! for each of its connections. The monitors and futures of the stream below stay valid for the TLS stream.
//!
//! # Which ends are told apart
//!
//! | the peer | our side reads or writes | our side does neither |
//! |---|---|---|
//! | closes in order: close_notify, then FIN | [`PeerClosed`], or [`Finished`] | the same |
//! | sends a FIN without close_notify | [`Truncated`] | [`PeerClosed`], or [`Finished`] |
//! | sends an alert, then FIN | [`TlsAlert`] | [`PeerClosed`], or [`Finished`] |
//! | sends an invalid record, then FIN | [`Tls`] | [`PeerClosed`], or [`Finished`] |
//! | resets | [`Reset`] | the same |
//!
//! [`Finished`] means that the FIN came after our own shutdown. Reads and writes detect the end at once, blocked
//! writes too. An idle stream detects it 3 ms later, the [time](crate::MonitorConfig::fin_delay) that a FIN waits for
//! TLS to say what it means. An alert or an invalid record without a FIN is detected by a read.
//!
//! `MonitoredStream<TlsStream<TcpStream>>` with [`fin_delay`](crate::MonitorConfig::fin_delay) tells the same ends
//! apart. rustls' errors, and the kind [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) of any TLS library, are
//! recognised. Without `fin_delay` the watcher usually comes first, with `PeerClosed`.
//! `TlsStream<MonitoredStream<TcpStream>>` tells only a FIN from a reset, because the stream below knows nothing of
//! TLS. Prefer `layer`.
//!
//! # Bytes
//!
//! [`transfer`](crate::Monitor::transfer) counts what is read and written above TLS. Accepted bytes are those that
//! TLS took; it may buffer up to 64 KiB of them until the socket has room. `acknowledged` is `None` once something
//! was written, because the socket carries records. A [stall policy](crate::StallPolicy) counts the bytes of the
//! socket.
//!
//! # Features
//!
//! `tls` chooses no cryptography provider. The features `ring`, `aws-lc-rs` and `tls12` enable those of
//! tokio-rustls; a program that depends on tokio-rustls itself can choose there.
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

mod addresses;
mod listener;
mod watchable;

pub use listener::{FailedHandshake, TlsListener};
#[cfg(feature = "serve")]
pub(crate) use listener::{HandshakeSettings, OnFailedHandshake, within};
pub use tokio_rustls;
pub use watchable::ByTls;

use crate::stream::{MonitoredStream, Transport};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The server side of a TLS connection.
pub type ServerStream<S = TcpStream> = MonitoredStream<server::TlsStream<Transport<S>>>;

/// The client side of a TLS connection.
pub type ClientStream<S = TcpStream> = MonitoredStream<client::TlsStream<Transport<S>>>;

/// Does the server's handshake on `stream`, which stays monitored meanwhile.
///
/// The peer may take as long as it likes: put a time limit around this, or use a [`TlsListener`].
///
/// # Errors
///
/// As [`MonitoredStream::layer`]: the error of the handshake, or one that carries the reason why the stream closed
/// meanwhile. `CloseReason::from(&error)` is the stream's reason in both cases.
///
/// # Cancel safety
///
/// Not cancel safe: the future owns the stream.
///
/// ```
/// # #[cfg(feature = "ring")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use hangup::{CloseReason, MonitoredListener, tls};
///
/// # fn acceptor() -> hangup::tls::tokio_rustls::TlsAcceptor {
/// #     use hangup::tls::tokio_rustls::{TlsAcceptor, rustls};
/// #     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
/// #     let config = rustls::ServerConfig::builder_with_provider(provider)
/// #         .with_safe_default_protocol_versions()
/// #         .unwrap()
/// #         .with_no_client_auth()
/// #         .with_cert_resolver(std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
/// #     TlsAcceptor::from(std::sync::Arc::new(config))
/// # }
/// let acceptor = acceptor();
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

/// Does the client's handshake on `stream`, which stays monitored meanwhile.
///
/// # Errors
///
/// As [`accept`].
///
/// # Cancel safety
///
/// Not cancel safe: the future owns the stream.
///
/// ```no_run
/// use hangup::MonitoredStream;
/// use hangup::tls::{connect, tokio_rustls::TlsConnector};
///
/// # async fn example(connector: TlsConnector) -> Result<(), Box<dyn std::error::Error>> {
/// let stream = tokio::net::TcpStream::connect("example.com:443").await?;
/// let stream = MonitoredStream::new(stream)?;
/// let monitor = stream.monitor();
/// let stream = connect(&connector, "example.com".try_into()?, stream).await?;
/// # drop((monitor, stream));
/// # Ok(())
/// # }
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
