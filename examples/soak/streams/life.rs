//! The life of one stream: some traffic, an end, and what must be told of it.

use super::end::End;
use super::kind::{Endpoints, Kind, Ours};
use super::observers::Observers;
use super::peer::Peer;
use crate::waiting::LONGEST;
use anyhow::{Context, ensure};
use hangup::{CloseReason, Status};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Lives one stream to its end.
pub(crate) async fn live(
    endpoints: &Endpoints,
    there: &Handle,
    random: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let kind = Kind::draw(random);
    let end = End::draw(kind, random);
    let config = end.config(random);
    let (ours, peer) = endpoints.pair(kind, &config, random).await?;
    let lived = one(ours, peer, kind, end, there, random).await;
    lived.with_context(|| format!("{kind:?}, {end:?}, {config:?}"))
}

async fn one(
    mut ours: Ours,
    mut peer: Peer,
    kind: Kind,
    end: End,
    there: &Handle,
    random: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let observers = Observers::new(&ours.monitor, there, random);
    // A busy machine is slower than that policy allows.
    if end != End::PeerStalls {
        traffic(&mut ours, &mut peer, kind, random)
            .await
            .context("traffic")?;
    }
    ensure!(
        !ours.monitor.is_closed(),
        "closed early: {}",
        ours.monitor.status()
    );
    let monitor = ours.monitor.clone();
    // The peer, and us, for as long as the end needs them.
    let mut left = (Some(ours), Some(peer));
    let (Some(ours), Some(peer)) = (&mut left.0, &mut left.1) else {
        unreachable!()
    };
    match end {
        End::PeerLeaves => {
            let unread = random.usize(..2000);
            if kind.sends() && kind != Kind::Tls {
                peer.write_all(&vec![7; unread]).await?;
            }
            left.1.take().context("the peer")?.leave().await?;
        }
        End::PeerLeavesUnderAWrite => {
            let peer = left.1.take().context("the peer")?;
            let leaves = async {
                tokio::time::sleep(Duration::from_millis(random.u64(..3))).await;
                drop(peer);
            };
            let writes = async { while ours.io.write_all(&[7; 65_536]).await.is_ok() {} };
            timeout(LONGEST, async { tokio::join!(leaves, writes) })
                .await
                .context("a blocked write")?;
        }
        End::PeerResets => {
            let peer = left.1.take().context("the peer")?;
            peer.reset()?;
        }
        End::Answered => {
            peer.shutdown().await?;
            let mut status = monitor.subscribe();
            let finished = status.wait_for(|status| *status != Status::Open);
            timeout(LONGEST, finished)
                .await
                .context("no half-close was told")??;
            ours.io.write_all(b"answer").await.context("the answer")?;
            ours.io.shutdown().await?;
            peer.receive(6).await.context("the answer")?;
        }
        End::HalfClosedForTooLong => peer.shutdown().await?,
        End::WeFinish => {
            ours.io.shutdown().await?;
            left.1.take().context("the peer")?.leave().await?;
        }
        End::WeAbort => monitor.abort(),
        End::WeDrop => left.0 = None,
        End::PeerStalls => {
            let writes = async { while ours.io.write_all(&[7; 65_536]).await.is_ok() {} };
            timeout(LONGEST, writes)
                .await
                .context("a write to a peer that stalls")?;
        }
    }
    let reason = observers.reason().await?;
    ensure!(end.allows(kind, &reason), "told as {reason}");
    if let (Some(ours), End::WeAbort | End::PeerResets | End::PeerStalls) = (&mut left.0, end) {
        let refused = ours.io.write(b"for nobody").await;
        let carried = refused.as_ref().map_err(CloseReason::from);
        ensure!(carried == Err(reason), "a write gives {carried:?}");
    }
    Ok(())
}

/// Some bytes each way, all of them read.
async fn traffic(
    ours: &mut Ours,
    peer: &mut Peer,
    kind: Kind,
    random: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    for _ in 0..random.u8(..4) {
        let bytes = random.usize(1..2000);
        ours.io.write_all(&vec![7; bytes]).await?;
        ours.io.flush().await?;
        peer.receive(bytes).await?;
        if kind.sends() {
            peer.write_all(&vec![7; bytes]).await?;
            peer.flush().await?;
            let mut taken = vec![0; bytes];
            timeout(LONGEST, ours.io.read_exact(&mut taken)).await??;
        }
    }
    Ok(())
}
