//! The channel of the status, whoever holds it.

use crate::support::within;
use crate::wire::{confirm_all, outbox};
use hangup::outbox::{Link, OutboxStatus};
use std::time::Duration;
use tokio::runtime::Builder;

/// A `match` over `borrow()` holds the channel. A send within it waited for the outbox, which waited for the end of the `match`.
#[test]
#[expect(
    clippy::await_holding_invalid_type,
    reason = "it is what the test is about"
)]
fn a_status_that_is_held_delays_nothing() {
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = runtime.enable_all().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let (builder, mut wire) = outbox();
            let outbox = builder.spawn().unwrap();
            let states = outbox.subscribe();
            let seen = states.borrow();
            let receipt = within(outbox.send("1 a".to_string())).await.unwrap();
            let peer = tokio::spawn(async move { confirm_all(wire.accept().await).await });
            within(receipt).await.unwrap();
            assert_eq!(outbox.status().delivered, 1);
            let second = outbox.subscribe();
            let report = within(outbox.shutdown(Duration::from_secs(30))).await;
            assert!(report.is_complete());
            // The task has ended, and with it the connection.
            assert_eq!(within(peer).await.unwrap(), ["1 a"]);
            assert_eq!(seen.delivered, 0);
            drop(seen);
            let closed = |status: &OutboxStatus| status.link == Link::Closed;
            for mut states in [states, second] {
                let last = within(states.wait_for(closed)).await.unwrap();
                assert_eq!(last.delivered, 1);
            }
        });
    }
}
