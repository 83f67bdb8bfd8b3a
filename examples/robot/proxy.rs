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
use crate::cutting::{Manners, gentle, rude};
use crate::forward::forward;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Before the next try to accept after an error: descriptors may come free meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

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
