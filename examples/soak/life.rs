//! The life of one stream: some traffic, an end, and what must be told of it.

use crate::kind::{Endpoints, Kind, Ours};
use crate::observers::{LONGEST, Observers};
use crate::peer::Peer;
use anyhow::{Context, ensure};
use hangup::{CloseReason, HalfClose, MonitorConfig, StallPolicy, Status};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    PeerLeaves,
    PeerLeavesUnderAWrite,
    PeerResets,
    /// The peer half-closes, and gets an answer.
    Answered,
    /// The peer half-closes, and nothing moves any more.
    HalfClosedForTooLong,
    /// We shut down, and then the peer leaves.
    WeFinish,
    WeAbort,
    WeDrop,
    PeerStalls,
}

const ENDS: [End; 9] = [
    End::PeerLeaves,
    End::PeerLeavesUnderAWrite,
    End::PeerResets,
    End::Answered,
    End::HalfClosedForTooLong,
    End::WeFinish,
    End::WeAbort,
    End::WeDrop,
    End::PeerStalls,
];

impl End {
    /// One that `kind` can have.
    fn draw(kind: Kind, random: &mut fastrand::Rng) -> Self {
        let end = ENDS[random.usize(..ENDS.len())];
        let (possible, slow) = match end {
            Self::PeerResets => (kind.resets(), false),
            Self::Answered => (kind.half_closes(), false),
            Self::HalfClosedForTooLong | Self::PeerStalls => (kind.half_closes(), true),
            Self::WeFinish => (kind.sends() && kind != Kind::Tls, false),
            Self::PeerLeavesUnderAWrite => (kind != Kind::Signal, true),
            Self::PeerLeaves | Self::WeAbort | Self::WeDrop => (true, false),
        };
        // Slow ones take megabytes, too.
        match possible && (!slow || random.u8(..32) == 0) {
            true => end,
            false => Self::PeerLeaves,
        }
    }

    fn config(self, random: &mut fastrand::Rng) -> MonitorConfig {
        let mut config = MonitorConfig::new().half_close(match self {
            Self::Answered => match random.bool() {
                true => HalfClose::Allow,
                false => HalfClose::AllowFor(LONGEST),
            },
            Self::HalfClosedForTooLong => HalfClose::AllowFor(Duration::from_millis(20)),
            _ => HalfClose::Close,
        });
        if self == Self::PeerStalls {
            config = config.stall(StallPolicy::new(1 << 40, Duration::from_millis(24)));
        } else if random.u8(..4) == 0 {
            config = config.stall(StallPolicy::new(1, LONGEST));
        }
        if random.u8(..4) == 0 {
            config = config.read_ahead(random.usize(1..10_000));
        }
        if random.u8(..4) == 0 {
            config = config.dead_peer_timeout(LONGEST * 2);
        }
        config.reset_on_stall(random.bool())
    }

    fn allows(self, kind: Kind, reason: &CloseReason) -> bool {
        match self {
            Self::PeerLeaves | Self::HalfClosedForTooLong => *reason == CloseReason::PeerClosed,
            // What it has not read makes its close a reset.
            Self::PeerLeavesUnderAWrite => {
                let truncated = kind == Kind::Tls && *reason == CloseReason::Truncated;
                truncated || matches!(reason, CloseReason::PeerClosed | CloseReason::Reset)
            }
            Self::PeerResets => *reason == CloseReason::Reset,
            Self::Answered | Self::WeFinish => *reason == CloseReason::Finished,
            Self::WeAbort => *reason == CloseReason::Aborted,
            Self::WeDrop => *reason == CloseReason::Dropped,
            Self::PeerStalls => *reason == CloseReason::Stalled,
        }
    }
}

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
