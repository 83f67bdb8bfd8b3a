//! TLS between a server of ours and a client, with a certificate made for the test.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A server's certificate and what both sides agree upon.
pub(crate) struct Setup {
    pub(crate) trusted: bool,
    pub(crate) host: &'static str,
    pub(crate) client: &'static SupportedProtocolVersion,
    pub(crate) server: &'static SupportedProtocolVersion,
    pub(crate) client_protocols: Vec<Vec<u8>>,
    pub(crate) server_protocols: Vec<Vec<u8>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            trusted: true,
            host: "localhost",
            client: &version::TLS13,
            server: &version::TLS13,
            client_protocols: Vec::new(),
            server_protocols: Vec::new(),
        }
    }
}

impl Setup {
    /// Both sides speak this version and no other.
    pub(crate) fn of(version: &'static SupportedProtocolVersion) -> Self {
        Self {
            client: version,
            server: version,
            ..Self::default()
        }
    }

    /// The two sides.
    pub(crate) fn make(self) -> (TlsConnector, TlsAcceptor) {
        let made = rcgen::generate_simple_self_signed(vec![self.host.to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert);
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut roots = RootCertStore::empty();
        if self.trusted {
            roots.add(certificate.clone()).unwrap();
        }
        let provider = Arc::new(ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.client])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = self.client_protocols;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.server])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap();
        server.alpn_protocols = self.server_protocols;
        (Arc::new(client).into(), Arc::new(server).into())
    }
}

/// A client's TLS connection to the server at `address`.
pub(crate) async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> client::TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    super::soon("the handshake", connector.connect(name, stream))
        .await
        .unwrap()
}

/// A handshake with the default setup between `ours` and the plain peer's socket.
pub(crate) async fn default_handshake<S: AsyncRead + AsyncWrite + Unpin>(
    ours: S,
    peer: std::net::TcpStream,
) -> (server::TlsStream<S>, client::TlsStream<TcpStream>) {
    super::soon("the handshake", handshake(Setup::default(), ours, peer)).await
}

/// A handshake between `ours` and the plain peer's socket.
pub(crate) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    setup: Setup,
    ours: S,
    peer: std::net::TcpStream,
) -> (server::TlsStream<S>, client::TlsStream<TcpStream>) {
    let (connector, acceptor) = setup.make();
    peer.set_nonblocking(true).unwrap();
    let peer = TcpStream::from_std(peer).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let (ours, peer) = tokio::join!(acceptor.accept(ours), connector.connect(name, peer));
    (ours.unwrap(), peer.unwrap())
}

/// Records that are sent past TLS: one that cannot be decrypted, one that is too long ("bad length"),
/// one of an unknown type.
pub(crate) const BROKEN_RECORDS: [&[u8]; 3] = [
    &[
        0x17, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
        21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    ],
    &[0x17, 3, 3, 0xff, 0xff, 0],
    &[0x63, 3, 3, 0, 1, 0],
];
