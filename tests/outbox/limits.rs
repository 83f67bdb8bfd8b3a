//! Limits that a user sets: messages in flight, their age, and what happens beyond the capacity.

use crate::wire::{line, outbox};
use futures::{SinkExt, StreamExt};
use hangup::outbox::*;
use std::io::ErrorKind;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A broker that closes when more than 20 messages are unconfirmed.
#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_allowed() {
    let (builder, mut wire) = outbox();
    let outbox = builder.in_flight(20).spawn().unwrap();
    for id in 0..200 {
        drop(outbox.send(format!("{id} a")).await.unwrap());
    }
    let mut peer = wire.accept().await;
    let mut confirmed = 0;
    while confirmed < 200 {
        let mut in_flight = Vec::new();
        // All that comes until the outbox waits.
        while let Ok(next) = tokio::time::timeout(Duration::from_millis(50), peer.next()).await {
            in_flight.push(next.unwrap().unwrap());
        }
        assert_eq!(in_flight.len(), 20);
        assert_eq!(outbox.status().unconfirmed, 20);
        for line in in_flight {
            let id = crate::wire::first_word(&line);
            peer.feed(format!("ok {id}")).await.unwrap();
            confirmed += 1;
        }
        SinkExt::<String>::flush(&mut peer).await.unwrap();
    }
    assert!(outbox.shutdown(LONG).await.is_complete());
}

/// Clients of message brokers counted what was in flight when the connection was lost for ever, and sent nothing after the
/// reconnect (eclipse-paho/paho.mqtt.python#24, eclipse-mosquitto/mosquitto#110).
#[tokio::test(start_paused = true)]
async fn what_was_in_flight_leaves_its_places_with_the_connection() {
    let (builder, mut wire) = outbox();
    let outbox = builder.in_flight(3).spawn().unwrap();
    for id in 0..6 {
        drop(outbox.send(format!("{id} a")).await.unwrap());
    }
    let mut next = 6;
    // Lost with all places taken, and with one confirmed.
    for confirmed in [0, 0, 1] {
        let mut peer = wire.accept().await;
        let first = next - 6;
        for id in first..first + 3 {
            assert_eq!(line(&mut peer).await, format!("{id} a"));
        }
        for id in first..first + confirmed {
            peer.send(format!("ok {id}")).await.unwrap();
            drop(outbox.send(format!("{next} a")).await.unwrap());
            next += 1;
            assert_eq!(line(&mut peer).await, format!("{} a", id + 3));
        }
        drop(peer);
        let mut states = outbox.subscribe();
        let lost = |status: &OutboxStatus| status.unconfirmed == 0;
        drop(states.wait_for(lost).await.unwrap());
    }
    let peer = tokio::spawn(crate::wire::confirm_all(wire.accept().await));
    assert!(outbox.shutdown(LONG).await.is_complete());
    let rest: Vec<_> = (1..next).map(|id| format!("{id} a")).collect();
    assert_eq!(peer.await.unwrap(), rest);
}

#[tokio::test(start_paused = true)]
async fn an_important_message_ends_at_its_age() {
    let (builder, mut wire) = outbox();
    let outbox = builder.spawn().unwrap();
    let age = Duration::from_secs(5);
    let aged = Importance::important_for(age);
    let receipt = outbox.send_with("1 a".to_string(), aged).await.unwrap();
    let began = tokio::time::Instant::now();
    // It is sent again, as long as it is worth it.
    for _ in 0..2 {
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "1 a");
    }
    let _silent = wire.accept().await;
    let error = receipt.await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Unconfirmed);
    let took = began.elapsed();
    assert!(took.abs_diff(age) < Duration::from_millis(50), "{took:?}");
}

/// The message had expired, and the second time its receipt said that it was delivered.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "after it had resolved")]
async fn a_receipt_does_not_resolve_twice() {
    let (builder, _wire) = outbox();
    let outbox = builder.spawn().unwrap();
    let aged = Importance::important_for(Duration::from_secs(5));
    let mut receipt = outbox.send_with("1 a".to_string(), aged).await.unwrap();
    (&mut receipt).await.unwrap_err();
    let _ = receipt.await;
}

fn full(overflow: Overflow) -> (Outbox<String>, crate::wire::Wire) {
    let (builder, wire) = outbox();
    let outbox = builder
        .capacity(1000, 3)
        .overflow(overflow)
        .spawn()
        .unwrap();
    (outbox, wire)
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_refuses() {
    let (outbox, _wire) = full(Overflow::Refuse);
    for id in 0..3 {
        drop(outbox.send(format!("{id} a")).await.unwrap());
    }
    let error = outbox.send("3 a".to_string()).await.unwrap_err();
    assert_eq!(*error.reason(), RefusedReason::Full);
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_drops_the_oldest() {
    let (outbox, mut wire) = full(Overflow::DropOldest);
    let mut peer = wire.accept().await;
    let written = outbox.send("0 a".to_string()).await.unwrap();
    assert_eq!(line(&mut peer).await, "0 a");
    drop(peer);
    let mut receipts = vec![written];
    for id in 1..5 {
        receipts.push(outbox.try_send(format!("{id} a")).unwrap());
    }
    // What is written may have arrived: it stays longest.
    for receipt in receipts.drain(1..3) {
        let error = receipt.await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    }
    assert_eq!((outbox.status().queued, outbox.status().dropped), (3, 2));
    let mut peer = wire.accept().await;
    for id in [0, 3, 4] {
        assert_eq!(line(&mut peer).await, format!("{id} a"));
        peer.send(format!("ok {id}")).await.unwrap();
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_drops_the_newest() {
    let (outbox, mut wire) = full(Overflow::DropNewest);
    for id in 0..3 {
        drop(outbox.send(format!("{id} a")).await.unwrap());
    }
    let receipt = outbox.send("3 a".to_string()).await.unwrap();
    let error = receipt.await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    assert_eq!(error.message(), "3 a");
    let mut peer = wire.accept().await;
    for id in 0..3 {
        assert_eq!(line(&mut peer).await, format!("{id} a"));
        peer.send(format!("ok {id}")).await.unwrap();
    }
    assert!(outbox.shutdown(LONG).await.is_complete());
}

#[tokio::test]
async fn values_that_cannot_work_are_refused() {
    type Change = fn(Builder<String>) -> Builder<String>;
    let changes: [(&str, Change); 8] = [
        ("capacity", |it| it.capacity(1, 0)),
        ("in_flight", |it| it.in_flight(0)),
        ("connect_timeout", |it| it.connect_timeout(Duration::ZERO)),
        ("ack_timeout", |it| it.ack_timeout(Duration::ZERO)),
        ("give_up_after", |it| it.give_up_after(Duration::ZERO)),
        ("max_attempts", |it| it.max_attempts(0)),
        ("max_reply", |it| it.max_reply(0)),
        ("dead_peer_timeout", |it| {
            it.dead_peer_timeout(Duration::from_nanos(1))
        }),
    ];
    for (name, change) in changes {
        let (builder, _wire) = outbox();
        let error = change(builder).spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

/// A large message of low priority: the small ones of its priority were dropped for it, and then it was dropped itself, because
/// all others were more urgent.
#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_for_a_message_that_is_dropped() {
    let (builder, _wire) = outbox();
    let outbox = builder
        .capacity(30, 10)
        .overflow(Overflow::DropOldest)
        .ordering_key(|message: &String| message.clone())
        .priority(|message: &String| u8::from(message.contains("urgent")))
        .spawn()
        .unwrap();
    let mut kept = Vec::new();
    for message in ["1 small", "2 urgent", "3 urgent"] {
        kept.push(outbox.try_send(message.to_string()).unwrap());
    }
    let dropped = outbox.try_send("4 large, and in vain".to_string()).unwrap();
    let error = dropped.await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    assert_eq!((outbox.status().queued, outbox.status().dropped), (3, 1));
    // One that needs the room of the small one gets it.
    kept.push(outbox.try_send("5 next".to_string()).unwrap());
    kept.push(outbox.try_send("6 urgent".to_string()).unwrap());
    let error = kept.remove(0).await.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Overflowed);
    assert_eq!(error.message(), "1 small");
    drop(kept);
}
