//! How an outbox ends.

use crate::memory_store::MemoryStore;
use crate::support::within;
use crate::wire::{Wire, by_reply, confirm_all, outbox, wire};
use hangup::outbox::*;
use std::io;
use std::time::Duration;
use tokio_util::codec::LinesCodec;

const LONG: Duration = Duration::from_secs(60);

/// `shutdown` took the state of an outbox that had given up for its end: it reported messages as undelivered that were
/// delivered afterwards.
#[tokio::test(start_paused = true)]
async fn a_resumed_outbox_delivers_before_it_ends() {
    let mut wrong = true;
    let (mut connect, mut wire) = wire();
    let connect = move || {
        let connected = (!std::mem::take(&mut wrong)).then(&mut connect);
        async move {
            match connected {
                Some(connected) => connected.await,
                None => Err(io::ErrorKind::InvalidInput.into()),
            }
        }
    };
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(by_reply())
        .spawn()
        .unwrap();
    drop(outbox.send("1 a".to_string()).await.unwrap());
    let mut states = outbox.subscribe();
    let gave_up = |status: &OutboxStatus| matches!(status.link, Link::GaveUp(_));
    drop(within(states.wait_for(gave_up)).await.unwrap());

    assert!(outbox.resume());
    assert!(matches!(outbox.status().link, Link::Connecting { .. }));
    let peer = tokio::spawn(async move { confirm_all(wire.accept().await).await });
    let report = outbox.shutdown(LONG).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(peer.await.unwrap(), ["1 a"]);
}

/// `shutdown` panicked there: "there is no reactor running".
#[test]
fn a_thread_without_a_runtime_may_use_and_end_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for has_peer in [true, false] {
        let (outbox, mut wire): (_, Wire) = runtime.block_on(async {
            let (builder, wire) = outbox();
            let store = MemoryStore::default();
            (builder.durable(store).spawn().unwrap(), wire)
        });
        futures::executor::block_on(async {
            let receipt = outbox.send("1 a".to_string()).await.unwrap();
            if has_peer {
                runtime.spawn(async move { confirm_all(wire.accept().await).await });
                receipt.await.unwrap();
            }
            let report = outbox.shutdown(Duration::from_millis(10)).await;
            assert_eq!(report.is_complete(), has_peer);
            assert!(report.is_store_closed());
        });
    }
}
