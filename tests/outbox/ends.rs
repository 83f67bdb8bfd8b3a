//! How an outbox ends.

use crate::support::within;
use crate::wire::{by_reply, confirm_all, wire};
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
