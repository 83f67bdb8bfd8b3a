//! How much memory a queued message takes beside its own.

use bytes::Bytes;
use hangup::outbox::{Confirm, Outbox, Processed};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::future::pending;
use std::io;
use std::mem::size_of;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_util::codec::LengthDelimitedCodec;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const COUNT: usize = 100_000;

/// Messages that share their bytes, so that those do not count; the `Bytes` itself counts as the
/// message's.
pub(crate) fn per_message() -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    Ok(vec![
        ("acknowledged by TCP", queued(|_| 0, false)?),
        (
            "named by the peer, ids that grow",
            queued(|number| number, true)?,
        ),
        (
            "named by the peer, ids in any order",
            queued(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15), true)?,
        ),
    ])
}

fn queued(id: fn(u64) -> u64, by_peer: bool) -> Result<f64, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let builder = Outbox::builder(pending::<io::Result<TcpStream>>, LengthDelimitedCodec::new)
        .capacity(usize::MAX, usize::MAX);
    let next = std::sync::atomic::AtomicU64::new(0);
    let name = move |_: &Bytes| id(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let builder = match by_peer {
        false => builder,
        true => builder.confirm(Confirm::by_peer(name, LengthDelimitedCodec::new, |_| {
            Some(Processed::Oldest(1))
        })),
    };
    let outbox = builder.spawn()?;
    let message = Bytes::from_static(b"shared");
    let before = held();
    for _ in 0..COUNT {
        drop(outbox.try_send(message.clone())?);
    }
    let bytes = held() - before;
    Ok(bytes as f64 / COUNT as f64 - size_of::<Bytes>() as f64)
}

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
