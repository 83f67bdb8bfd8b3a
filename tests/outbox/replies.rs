//! What replies confirm, and what they do not.

#[cfg(unix)]
mod before_a_reset;

use crate::wire::{Lines, confirm_all, first_word, line, outbox, wire};
use futures::SinkExt;
use hangup::outbox::*;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{Decoder, LinesCodec};

/// Reads three lines, replies with these bytes, and is gone.
async fn cut_after(mut peer: Lines, reply: &[u8]) {
    for _ in 0..3 {
        line(&mut peer).await;
    }
    peer.get_mut().write_all(reply).await.unwrap();
}

/// The peer died while it wrote "ok 12". The FIN came after "ok 1", which `LinesCodec::decode_eof` takes for a
/// reply: message 1 was confirmed, and lost. Every order of replies, cut at every byte.
#[tokio::test(start_paused = true)]
async fn a_reply_that_the_end_cuts_short_is_no_reply() {
    let ids = [1, 12, 123];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let replies: String = order.iter().map(|&i| format!("ok {}\n", ids[i])).collect();
        for cut in 0..=replies.len() {
            let (builder, mut wire) = outbox();
            let outbox = builder.spawn().unwrap();
            for id in ids {
                drop(outbox.send(format!("{id} door opened")).await.unwrap());
            }
            cut_after(wire.accept().await, &replies.as_bytes()[..cut]).await;
            let whole = replies[..cut].matches('\n').count();
            let confirmed: Vec<u64> = order[..whole].iter().map(|&i| ids[i]).collect();

            let rest = tokio::spawn(confirm_all(wire.accept().await));
            assert!(outbox.shutdown(Duration::from_secs(60)).await.is_complete());
            let rest = rest.await.unwrap();
            let again: Vec<u64> = rest
                .iter()
                .map(|line| first_word(line).parse().unwrap())
                .collect();
            let expected: Vec<u64> = ids
                .into_iter()
                .filter(|id| !confirmed.contains(id))
                .collect();
            assert_eq!(again, expected, "{:?} came back", &replies[..cut]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_is_not_sent_again() {
    let (builder, mut wire) = outbox();
    let outbox = builder.spawn().unwrap();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let second = outbox.send("2 b".to_string()).await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    assert_eq!(line(&mut peer).await, "2 b");
    peer.send("no 1 unknown door").await.unwrap();
    let error = first.await.unwrap_err();
    assert_eq!(
        *error.reason(),
        UndeliveredReason::Rejected("unknown door".into())
    );
    assert_eq!(error.into_message(), "1 a");
    drop(peer);
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "2 b");
    peer.send("ok 2").await.unwrap();
    assert_eq!(second.await.unwrap().confirmed_by(), ConfirmedBy::Reply);
    let status = outbox.status();
    assert_eq!(
        (status.rejected, status.dropped, status.delivered),
        (1, 1, 1)
    );
}

/// A reply that counts messages counts those too that were dropped while it was on its way.
#[tokio::test(start_paused = true)]
async fn a_reply_that_counts_does_not_confirm_the_next_message() {
    let (connect, mut wire) = wire();
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(Confirm::by_number(LinesCodec::new, |_: String| {
            Some(Processed::Oldest(1))
        }))
        .spawn()
        .unwrap();
    let ttl = Duration::from_millis(500);
    let fleeting = outbox
        .send_with("fleeting", Importance::BestEffort { ttl })
        .await
        .unwrap();
    let important = outbox.send("important").await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "fleeting");
    assert_eq!(line(&mut peer).await, "important");
    // Best effort that is written ends at its time, instead of filling the outbox.
    assert_eq!(
        *fleeting.await.unwrap_err().reason(),
        UndeliveredReason::Unconfirmed
    );
    assert_eq!(outbox.status().queued, 1);
    // The peer was slow: this is the reply to the first one.
    peer.send("ok").await.unwrap();
    tokio::time::sleep(ttl).await;
    assert_eq!(outbox.status().delivered, 0);
    peer.send("ok").await.unwrap();
    important.await.unwrap();
}

/// For each message that was dropped without a reply the outbox remembers a place, and for no more than its capacity. An
/// important message that expired beyond that stayed, and when the connection was lost, the search for the next message to
/// write called itself for it until the stack was used up; with priorities it went on for ever.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_kept_beyond_its_time_ends_with_the_connection() {
    for priority in [None, Some(1)] {
        let (connect, mut wire) = wire();
        let mut builder = Outbox::builder(connect, LinesCodec::new)
            .confirm(Confirm::by_number(LinesCodec::new, |_: String| {
                Some(Processed::Oldest(1))
            }))
            .capacity(1000, 1);
        if let Some(priority) = priority {
            builder = builder.ordering_key(|_| 0).priority(move |_| priority);
        }
        let outbox = builder.spawn().unwrap();
        let ttl = Duration::from_millis(500);
        let best_effort = Importance::BestEffort { ttl };
        let fleeting = outbox.send_with("fleeting", best_effort).await.unwrap();
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "fleeting");
        let error = fleeting.await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Unconfirmed);

        let important = Importance::important_for(ttl);
        let kept = outbox.send_with("kept", important).await.unwrap();
        assert_eq!(line(&mut peer).await, "kept");
        tokio::time::sleep(2 * ttl).await;
        assert_eq!(outbox.status().queued, 1);
        drop(peer);
        let error = kept.await.unwrap_err();
        assert_eq!(*error.reason(), UndeliveredReason::Unconfirmed);
        let next = outbox.send("next").await.unwrap();
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "next");
        peer.send("ok").await.unwrap();
        next.await.unwrap();
    }
}

/// Bytes that the decoder refuses, or on which it panics, cost the connection and nothing else.
struct Picky(LinesCodec);

impl Decoder for Picky {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, input: &mut bytes::BytesMut) -> io::Result<Option<String>> {
        let line = self.0.decode(input).map_err(io::Error::other)?;
        match line.as_deref() {
            Some("refuse") => Err(io::ErrorKind::InvalidInput.into()),
            Some("panic") => panic!("the decoder of the test"),
            _ => Ok(line),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_cannot_be_decoded_cost_the_connection_only() {
    let (connect, mut wire) = wire();
    let picky = || Picky(LinesCodec::new());
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(Confirm::by_number(picky, |reply: String| match &*reply {
            "panic later" => panic!("the meaning of the test"),
            reply => crate::wire::meaning(reply),
        }))
        .max_reply(100_000)
        .spawn()
        .unwrap();
    let receipt = outbox.send("door opened").await.unwrap();
    let endless = "x".repeat(200_000);
    let mut open = Vec::new();
    for odd in ["refuse\n", "panic\n", "panic later\n", &endless] {
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "door opened", "{odd:.20}");
        // The end of a long one is not taken any more.
        let _ = peer.get_mut().write_all(odd.as_bytes()).await;
        // This end stays open: the outbox is to end it.
        open.push(peer);
    }
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "door opened");
    peer.send("ok 0").await.unwrap();
    receipt.await.unwrap();
}

/// The number is the message's over all its attempts, and no other message's.
#[tokio::test(start_paused = true)]
async fn an_envelope_counts_the_attempts_and_keeps_the_number() {
    struct Numbered;

    impl tokio_util::codec::Encoder<Envelope<String>> for Numbered {
        type Error = io::Error;

        fn encode(
            &mut self,
            envelope: Envelope<String>,
            bytes: &mut bytes::BytesMut,
        ) -> io::Result<()> {
            let Envelope {
                number,
                attempt,
                message,
                ..
            } = envelope;
            bytes.extend_from_slice(format!("{number} {attempt} {message}\n").as_bytes());
            Ok(())
        }
    }

    let (connect, mut wire) = wire();
    let outbox = Outbox::builder_with_envelope(connect, || Numbered)
        .confirm(Confirm::by_number(LinesCodec::new, |reply: String| {
            crate::wire::meaning(&reply)
        }))
        .spawn()
        .unwrap();
    let first = outbox.send("a".to_string()).await.unwrap();
    let second = outbox.send("b".to_string()).await.unwrap();
    for attempt in 1..=3 {
        let mut peer = wire.accept().await;
        assert_eq!(
            line(&mut peer).await,
            format!("{} {attempt} a", first.number())
        );
        assert_eq!(
            line(&mut peer).await,
            format!("{} {attempt} b", second.number())
        );
    }
    let mut peer = wire.accept().await;
    line(&mut peer).await;
    line(&mut peer).await;
    peer.send(format!("ok {}", second.number())).await.unwrap();
    second.await.unwrap();
    assert_eq!(outbox.status().queued, 1);
    drop(peer);
    for attempt in 5..=260 {
        let mut peer = wire.accept().await;
        let expected = format!("{} {} a", first.number(), attempt.min(255));
        assert_eq!(line(&mut peer).await, expected);
    }
}

/// A byte with the length of a line, and the line. It finds a wrong length when it has taken the byte.
struct Short;

impl Decoder for Short {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, input: &mut bytes::BytesMut) -> io::Result<Option<String>> {
        let Some(&length) = input.first().filter(|&&length| input.len() > length.into()) else {
            return Ok(None);
        };
        let frame = input.split_to(1 + usize::from(length));
        match &frame[1..] {
            [] => Err(io::ErrorKind::InvalidData.into()),
            line => Ok(Some(String::from_utf8_lossy(line).into_owned())),
        }
    }
}

/// The decoder was called again, with the bytes behind its error: what they happened to look like confirmed a message.
#[tokio::test(start_paused = true)]
async fn nothing_is_decoded_after_an_error() {
    let (connect, mut wire) = wire();
    let by_number = Confirm::by_number(|| Short, |reply: String| crate::wire::meaning(&reply));
    let outbox = Outbox::builder(connect, LinesCodec::new).confirm(by_number);
    let outbox = outbox.spawn().unwrap();
    let receipt = outbox.send("door opened").await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "door opened");
    // More than one read takes.
    let inside = [&b"\0"[..], &b"\x04ok 0".repeat(4000)].concat();
    let _ = peer.get_mut().write_all(&inside).await;
    let mut second = wire.accept().await;
    let again = tokio::time::timeout(Duration::from_secs(60), line(&mut second));
    assert_eq!(again.await.unwrap(), "door opened");
    second.get_mut().write_all(b"\x04ok 0").await.unwrap();
    receipt.await.unwrap();
    assert_eq!(outbox.status().resent, 1);
}
