//! The kinds of streams, and how one of each is made.

use super::peer::Peer;
use hangup::{CloseReason, Monitor, MonitorConfig, MonitoredStream};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, empty, join};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Mutex, oneshot};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A stream of ours, of any kind.
pub(crate) struct Ours {
    pub(crate) io: Box<dyn Io>,
    pub(crate) monitor: Monitor,
}

impl Ours {
    fn new(stream: MonitoredStream<impl Io + 'static>) -> Self {
        Self {
            monitor: stream.monitor(),
            io: Box::new(stream),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
    /// We write, the peer reads.
    Pipe,
    /// A stream in memory, whose end a channel signals.
    Signal,
    Tls,
}

impl Kind {
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        match random.u8(..64) {
            // A handshake takes as long as the whole life of the others.
            0 => Self::Tls,
            1..20 => Self::Unix,
            20..26 => Self::Pipe,
            26..32 => Self::Signal,
            _ => Self::Tcp,
        }
    }

    /// Whether the peer can send.
    pub(crate) fn sends(self) -> bool {
        self != Self::Pipe
    }

    /// Whether the peer can end its sending direction alone, and read on.
    pub(crate) fn half_closes(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }

    /// Whether the peer can reset the connection.
    pub(crate) fn resets(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Signal)
    }
}

/// How many addresses there are to connect to: a port that has just been used is not free at once.
const ADDRESSES: u8 = 16;

/// What the streams are made with.
pub(crate) struct Endpoints {
    /// One connection at a time is made with each.
    listeners: Vec<(SocketAddr, Mutex<TcpListener>)>,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Endpoints {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for last in 1..=ADDRESSES {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, last], 0))).await?;
            listeners.push((listener.local_addr()?, Mutex::new(listener)));
        }
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let certificate = made.cert.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let provider = Arc::new(ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())?;
        // A cache of sessions would grow for long.
        client.resumption = Resumption::disabled();
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            listeners,
            connector: Arc::new(client).into(),
            acceptor: Arc::new(server).into(),
        })
    }

    /// Two ends of a connection: who connected, and who accepted.
    async fn tcp(&self, random: &mut fastrand::Rng) -> io::Result<(TcpStream, TcpStream)> {
        let (address, listener) = &self.listeners[random.usize(..self.listeners.len())];
        let listener = listener.lock().await;
        let (connected, accepted) =
            tokio::try_join!(TcpStream::connect(address), listener.accept())?;
        Ok((connected, accepted.0))
    }

    /// A stream of a random role, and its peer.
    pub(crate) async fn pair(
        &self,
        kind: Kind,
        config: &MonitorConfig,
        random: &mut fastrand::Rng,
    ) -> anyhow::Result<(Ours, Peer)> {
        match kind {
            Kind::Tls => self.tls(config, random).await,
            Kind::Unix => {
                let (ours, peer) = UnixStream::pair()?;
                let ours = MonitoredStream::with_config(ours, config)?;
                Ok((Ours::new(ours), Peer::Unix(peer)))
            }
            Kind::Pipe => {
                let (ours, peer) = pipe::pipe()?;
                let ours = MonitoredStream::write_only(ours, &MonitorConfig::new())?;
                let monitor = ours.monitor();
                let io = Box::new(join(empty(), ours));
                Ok((Ours { io, monitor }, Peer::Pipe(peer)))
            }
            Kind::Signal => {
                let (ours, peer) = tokio::io::duplex(4096);
                let (signal, signalled) = oneshot::channel();
                let signalled = async { signalled.await.unwrap_or(CloseReason::PeerClosed) };
                let ours = MonitoredStream::with_signal(ours, signalled);
                Ok((Ours::new(ours), Peer::Memory(peer, Some(signal))))
            }
            Kind::Tcp => {
                let (connected, accepted) = self.tcp(random).await?;
                let (ours, peer) = match random.bool() {
                    true => (connected, accepted),
                    false => (accepted, connected),
                };
                let ours = MonitoredStream::with_config(ours, config)?;
                Ok((Ours::new(ours), Peer::Tcp(peer)))
            }
        }
    }

    async fn tls(
        &self,
        config: &MonitorConfig,
        random: &mut fastrand::Rng,
    ) -> anyhow::Result<(Ours, Peer)> {
        let (peer, ours) = self.tcp(random).await?;
        let ours = MonitoredStream::with_config(ours, config)?;
        let name = ServerName::try_from("localhost")?;
        let (ours, peer) = tokio::try_join!(
            ours.layer(|transport| self.acceptor.accept(transport)),
            self.connector.connect(name, peer)
        )?;
        Ok((Ours::new(ours), Peer::Tls(Box::new(peer))))
    }
}
