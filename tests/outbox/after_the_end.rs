//! What the outbox's task finds after a shutdown has ended the outbox without it.
//!
//! The task was busy when the time of the shutdown was over. Then it dropped its connection, and with it the best-effort
//! messages, or took in a reply: messages that the shutdown had returned counted as dropped or delivered.

use crate::support::within;
use crate::wire::{line, outbox};
use futures::SinkExt;
use hangup::outbox::{Importance, UndeliveredReason};
use std::time::Duration;
use tokio_test::{assert_pending, assert_ready};

const MESSAGES: [&str; 3] = ["1 a", "2 b", "3 c"];

#[tokio::test]
async fn what_a_shutdown_has_returned_stays_undelivered() {
    let (builder, mut wire) = outbox();
    let (outbox, task) = builder.build().unwrap();
    let mut task = tokio_test::task::spawn(task);
    let ttl = Duration::from_secs(3600);
    let mut receipts = Vec::new();
    for (message, importance) in MESSAGES.iter().zip([
        Importance::Important,
        Importance::BestEffort { ttl },
        Importance::Important,
    ]) {
        let receipt = outbox.send_with(message.to_string(), importance);
        receipts.push(receipt.await.unwrap());
    }
    assert_pending!(task.poll());
    let mut peer = within(wire.accept()).await;
    for message in MESSAGES {
        assert_eq!(within(line(&mut peer)).await, message);
    }
    peer.send("ok 1").await.unwrap();
    // Nobody polls the task meanwhile.
    let report = within(outbox.shutdown(Duration::ZERO)).await;
    assert_eq!(report.undelivered(), MESSAGES);
    assert_ready!(task.poll());
    let status = outbox.status();
    let counts = (status.queued, status.delivered, status.dropped);
    assert_eq!(counts, (3, 0, 0));
    let again = within(outbox.shutdown(Duration::ZERO)).await;
    assert_eq!(again.undelivered(), MESSAGES);
    for receipt in receipts {
        let error = within(receipt).await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::ShutDown);
    }
}
