//! TLS, by tokio-rustls, above a monitored stream: one shared from the first byte of the handshake to the
//! last record.
//!
//! [`accept`] and [`connect`] put TLS above a stream with [`MonitoredStream::layer`]; a [`TlsListener`] does
//! so for each of its connections. Monitors and futures of the stream below are those of the TLS stream.
//!
//! # What is told apart
//!
//! | the peer | the server reads, or writes | it does neither |
//! |---|---|---|
//! | closes in order: close_notify, then FIN | [`PeerClosed`], or [`Finished`] | the same |
//! | sends a FIN without close_notify | [`Truncated`] | [`PeerClosed`], or [`Finished`] |
//! | sends an alert, then FIN | [`TlsAlert`] | [`PeerClosed`], or [`Finished`] |
//! | sends a record that cannot be read, then FIN | [`Tls`] | [`PeerClosed`], or [`Finished`] |
//! | resets | [`Reset`] | the same |
//!
//! [`Finished`] is for a FIN after our own shutdown. Reading and writing hear at once, a write that is
//! blocked too; who does neither hears of a FIN 3 ms later, which is how long it
//! [waits](crate::MonitorConfig::fin_delay) for its meaning. An alert or a bad record without a FIN is heard by
//! whoever reads.
//!
//! The same is told by `MonitoredStream<TlsStream<TcpStream>>` with
//! [`fin_delay`](crate::MonitorConfig::fin_delay), of whichever TLS library; for rustls' errors, and the kind
//! [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof), are known without its help. Without `fin_delay` the watcher
//! is mostly first, with `PeerClosed`. `TlsStream<MonitoredStream<TcpStream>>` tells the FIN from the reset and no
//! more: the stream below knows nothing of TLS. `layer` has taken its place.
//!
//! # Bytes
//!
//! [`transfer`](crate::Monitor::transfer) counts what is read and written above TLS: accepted bytes are those
//! that TLS took, of which it may keep up to 64 KiB to itself until the socket has room.
//! `acknowledged` is `None` as soon as something was written: the socket carries records. A
//! [stall policy](crate::StallPolicy) counts the socket's bytes.
//!
//! # Features
//!
//! `tls` chooses no cryptography: a program that depends on tokio-rustls and rustls itself chooses it
//! there. `ring`, `aws-lc-rs` and `tls12` of this crate are the features of the same names there.
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
//!     let (mut stream, peer) = listener.accept().await?;
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

mod listener;
mod watchable;

pub use listener::{FailedHandshake, TlsListener};
pub use tokio_rustls;
pub use watchable::ByTls;

use crate::stream::{MonitoredStream, Transport};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A server's side of a TLS connection.
pub type ServerStream<S = TcpStream> = MonitoredStream<server::TlsStream<Transport<S>>>;

/// A client's side of a TLS connection.
pub type ClientStream<S = TcpStream> = MonitoredStream<client::TlsStream<Transport<S>>>;

/// The server's handshake on `stream`, which is monitored all the time.
///
/// There is no limit on the time that the peer may take: put one around it, or use a [`TlsListener`].
///
/// # Errors
///
/// As [`MonitoredStream::layer`]: the handshake's error, or one that carries the reason for which the stream
/// closed meanwhile. `CloseReason::from(&error)` is the stream's reason in any case.
///
/// # Cancel safety
///
/// Not cancel safe: the future owns the stream.
pub async fn accept<S>(
    acceptor: &TlsAcceptor,
    stream: MonitoredStream<S>,
) -> io::Result<ServerStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.layer(|lower| acceptor.accept(lower)).await
}

/// The client's handshake on `stream`, which is monitored all the time.
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
