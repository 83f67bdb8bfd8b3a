//! A TCP proxy between a sender and its peer that cuts the connection: by FIN, by RST, as a black hole,
//! and mostly in the middle of a message.
//!
//! It serves one connection at a time, as a robot's radio does: the next one waits in the listener's queue until
//! both sides of this one have closed. So the peer reads everything in order.
//!
//! # Bytes that the proxy's system has acknowledged
//!
//! The sender sees the acknowledgements of the proxy's TCP, for bytes that the peer may never read.
//! * [`Manners::Rude`] throws these bytes away, as a proxy that crashes does. A sender that trusts
//!   acknowledgements loses messages; one that waits for the peer's replies does not.
//! * [`Manners::Gentle`] forwards everything that was acknowledged, and then cuts. For a reset and a black
//!   hole it first attaches a packet filter that drops every segment before TCP sees it: nothing more is
//!   acknowledged, as if a cable had been pulled, and the socket holds all there is. Linux only.

use crate::cuts::{Cut, Plan, PlannedCut};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What the proxy does with bytes that its system has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    Rude,
    Gentle,
}

/// Before the next try to accept after an error: descriptors may come free meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// By then a segment that came just before the filter is in the socket.
const SETTLED: Duration = Duration::from_millis(2);

/// How often the proxy has cut so far.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; 3]);

impl Tally {
    pub(crate) fn of(&self, cut: Cut) -> u64 {
        self.0[cut as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.iter().map(|cuts| cuts.load(Ordering::Relaxed)).sum()
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    listener: TcpListener,
    peer: SocketAddr,
    plan: Plan,
    manners: Manners,
    tally: Arc<Tally>,
}

impl Proxy {
    /// Listens on a free port of this host.
    pub(crate) async fn bind(peer: SocketAddr, plan: Plan, manners: Manners) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind("127.0.0.1:0").await?,
            peer,
            plan,
            manners,
            tally: Arc::default(),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Serves one connection after the other, forever. Calls `on_error` when it cannot connect the two, and
    /// tries again.
    pub(crate) async fn run(mut self, on_error: impl Fn(&io::Error)) {
        loop {
            match self.connect().await {
                Ok((sender, peer)) => {
                    let planned = self.plan.draw();
                    // It fails when one side leaves on its own: then there is nothing to cut.
                    let _ = self.serve(sender, peer, planned).await;
                }
                Err(error) => {
                    on_error(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connect(&self) -> io::Result<(TcpStream, TcpStream)> {
        let (sender, _) = self.listener.accept().await?;
        let peer = TcpStream::connect(self.peer).await?;
        Ok((sender, peer))
    }

    /// Forwards until the cut, or until both sides have closed.
    async fn serve(
        &self,
        mut sender: TcpStream,
        mut peer: TcpStream,
        planned: Option<PlannedCut>,
    ) -> io::Result<()> {
        let limits = planned.map_or((u64::MAX, u64::MAX), |planned| (planned.up, planned.down));
        if !forward(&mut sender, &mut peer, limits).await? {
            return Ok(());
        }
        let Some(planned) = planned else {
            return Ok(());
        };
        self.tally.0[planned.cut as usize].fetch_add(1, Ordering::Relaxed);
        match self.manners {
            Manners::Rude => rude(planned, sender, peer).await,
            Manners::Gentle => gentle(planned, sender, peer).await,
        }
    }
}

/// Forwards until one of the limits is reached, or until both have closed. Returns whether it was a limit.
async fn forward(
    sender: &mut TcpStream,
    peer: &mut TcpStream,
    (up, down): (u64, u64),
) -> io::Result<bool> {
    let (from_sender, to_sender) = sender.split();
    let (from_peer, to_peer) = peer.split();
    let mut up = pin!(pump(from_sender, to_peer, up));
    let mut down = pin!(pump(from_peer, to_sender, down));
    tokio::select! {
        cut = &mut up => Ok(cut? || down.await?),
        cut = &mut down => Ok(cut? || up.await?),
    }
}

/// Forwards until the limit is reached, or until `from` ends, and then ends `to`. Returns whether it was the limit.
///
/// When reading fails, all that was read has been written: `tokio::io::copy` does not promise that.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: u64,
) -> io::Result<bool> {
    let mut from = (&mut from).take(limit);
    let mut chunk = Vec::with_capacity(CHUNK);
    while from.limit() > 0 {
        chunk.clear();
        if from.read_buf(&mut chunk).await? == 0 {
            to.shutdown().await?;
            return Ok(false);
        }
        to.write_all(&chunk).await?;
    }
    Ok(true)
}

/// Cuts, and throws away the bytes that are under way.
async fn rude(planned: PlannedCut, mut sender: TcpStream, peer: TcpStream) -> io::Result<()> {
    match planned.cut {
        Cut::Fin => {
            drop(peer);
            sender.shutdown().await?;
            pump(&mut sender, sink(), u64::MAX).await?;
        }
        Cut::Reset | Cut::BlackHole => {
            if planned.cut == Cut::BlackHole {
                sleep(planned.hold).await;
            }
            peer.set_zero_linger()?;
            sender.set_zero_linger()?;
        }
    }
    Ok(())
}

/// Delivers to the peer everything that was acknowledged, and cuts.
async fn gentle(planned: PlannedCut, mut sender: TcpStream, mut peer: TcpStream) -> io::Result<()> {
    match planned.cut {
        Cut::Fin => {
            sender.shutdown().await?;
            // The sender may end with a reset, too.
            let _ = pump(&mut sender, &mut peer, u64::MAX).await;
        }
        Cut::Reset | Cut::BlackHole => {
            deafen(&sender)?;
            sleep(SETTLED).await;
            peer.write_all(&drain(&sender)?).await?;
            if planned.cut == Cut::BlackHole {
                sleep(planned.hold).await;
            }
            sender.set_zero_linger()?;
            drop(sender);
        }
    }
    peer.shutdown().await?;
    // The peer has read everything when it closes.
    pump(&mut peer, sink(), u64::MAX).await.map(drop)
}

/// Makes the system drop every segment for this socket before TCP sees and acknowledges it.
#[cfg(target_os = "linux")]
fn deafen(socket: &TcpStream) -> io::Result<()> {
    // BPF_RET | BPF_K: accept no byte of the packet.
    let none = socket2::SockFilter::new(0x06, 0, 0, 0);
    socket2::SockRef::from(socket).attach_filter(&[none])
}

#[cfg(not(target_os = "linux"))]
fn deafen(_: &TcpStream) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Everything that the socket holds. Read from the system directly: the runtime may not know of it yet.
fn drain(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let socket = socket2::SockRef::from(socket);
    let mut socket = &*socket;
    let mut drained = Vec::new();
    match socket.read_to_end(&mut drained) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(drained),
    }
}
