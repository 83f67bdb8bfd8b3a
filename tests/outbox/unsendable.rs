//! Messages that cannot be sent do not stop the others.

use crate::memory_store::{Call, MemoryStore};
use crate::support::within;
use crate::wire::{Wire, by_reply, confirm_all, first_word, line, meaning, outbox, wire};
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use hangup::outbox::*;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::codec::{Encoder, LinesCodec};

const LONG: Duration = Duration::from_secs(60);

/// Refuses some lines, and panics on others.
struct Fragile;

impl Encoder<String> for Fragile {
    type Error = io::Error;

    fn encode(&mut self, line: String, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.extend_from_slice(line.as_bytes());
        if line.contains("refuse") {
            return Err(io::Error::other("not in this protocol"));
        }
        assert!(!line.contains("panic"), "the encoder of the test");
        bytes.extend_from_slice(b"\n");
        Ok(())
    }
}

type Letters = Arc<Mutex<Vec<(u64, UnsendableReason)>>>;

fn collect(
    letters: &Letters,
    action: UnsendableAction,
) -> impl FnMut(Unsendable<String>) -> UnsendableAction + Send + 'static {
    let letters = letters.clone();
    move |letter| {
        letters
            .lock()
            .unwrap()
            .push((letter.number(), letter.reason().clone()));
        action
    }
}

fn fragile(
    store: &MemoryStore,
    letters: &Letters,
    action: UnsendableAction,
) -> (Outbox<String>, Wire) {
    let (connect, wire) = wire();
    let outbox = Outbox::builder(connect, || Fragile)
        .confirm(by_reply())
        .durable_nonblocking(store.clone())
        .on_unsendable(collect(letters, action))
        .spawn()
        .unwrap();
    (outbox, wire)
}

/// A message that was recovered and that the encoder refuses was deleted silently; a panic ended the outbox at
/// every start.
#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_encoded_is_kept_and_reported() {
    let store = MemoryStore::default();
    store.put(3, b"3 good");
    store.put(4, b"4 refuse");
    store.put(5, b"5 panic");
    store.put(6, b"6 good");
    let letters = Letters::default();
    // The first time they stay for the next start, the second time they go.
    for (action, left) in [
        (UnsendableAction::Keep, vec![4, 5]),
        (UnsendableAction::Discard, vec![]),
    ] {
        let (outbox, mut wire) = fragile(&store, &letters, action);
        tokio::spawn(async move {
            loop {
                let peer = wire.accept().await;
                tokio::spawn(confirm_all(peer));
            }
        });
        let mut states = outbox.subscribe();
        drop(states.wait_for(|status| status.queued == 0).await.unwrap());
        assert_eq!(outbox.status().unsendable, 2);
        assert!(outbox.shutdown(LONG).await.is_complete());
        assert_eq!(store.numbers(), left);
        let letters = std::mem::take(&mut *letters.lock().unwrap());
        let refused = UnsendableReason::EncodeFailed("not in this protocol".into());
        assert_eq!(letters[0], (4, refused));
        assert_eq!(letters[1].0, 5);
        assert!(
            letters[1].1.to_string().contains("the encoder of the test"),
            "{letters:?}"
        );
    }
}

/// It took the room of a full store until the next start, and those who waited for room waited as long.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_cannot_be_buried_is_tried_again() {
    let store = MemoryStore::default();
    store.fail_bury(3);
    let letters = Letters::default();
    let (outbox, mut wire) = fragile(&store, &letters, UnsendableAction::Keep);
    tokio::spawn(confirm_all(wire.accept().await));
    drop(outbox.send("0 refuse".to_string()).await.unwrap());
    let burials = || {
        let calls = store.calls();
        calls.iter().filter(|call| **call == Call::Bury(0)).count()
    };
    // After 1, 2 and 4 s.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((burials(), store.numbers()), (3, vec![0]));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((burials(), store.numbers()), (4, vec![]));
    tokio::time::sleep(LONG * 5).await;
    assert_eq!(burials(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_receipt_tells_why() {
    let letters = Letters::default();
    let (outbox, mut wire) = fragile(&MemoryStore::default(), &letters, UnsendableAction::Keep);
    let refused = outbox.send("1 refuse".to_string()).await.unwrap();
    let panicked = outbox.send("2 panic".to_string()).await.unwrap();
    let good = outbox.send("3 good".to_string()).await.unwrap();
    let error = refused.await.unwrap_err();
    assert_eq!(
        *error.reason(),
        UndeliveredReason::EncodeFailed("not in this protocol".into())
    );
    assert_eq!(error.message(), "1 refuse");
    assert!(matches!(
        panicked.await.unwrap_err().reason(),
        UndeliveredReason::EncodeFailed(_)
    ));
    // The panic costs the connection.
    drop(wire.accept().await);
    tokio::spawn(confirm_all(wire.accept().await));
    good.await.unwrap();
}

/// Many messages are encoded at once. What the encoder wrote of a refused one does not go out with the others.
#[tokio::test(start_paused = true)]
async fn a_refused_message_leaves_no_bytes_between_the_others() {
    let letters = Letters::default();
    let (outbox, mut wire) = fragile(&MemoryStore::default(), &letters, UnsendableAction::Keep);
    let lines = [
        "1 good", "2 refuse", "3 good", "4 refuse", "5 refuse", "6 good",
    ];
    let ttl = LONG;
    for line in lines {
        let importance = Importance::BestEffort { ttl };
        drop(outbox.try_send_with(line.to_string(), importance).unwrap());
    }
    let mut peer = wire.accept().await;
    for good in ["1 good", "3 good", "6 good"] {
        assert_eq!(line(&mut peer).await, good);
    }
    let letters = std::mem::take(&mut *letters.lock().unwrap());
    let refused: Vec<u64> = letters.iter().map(|&(number, _)| number).collect();
    assert_eq!(refused, [1, 3, 4]);
}

/// A store on disk keeps it as a dead letter, which the next outbox does not send.
#[cfg(feature = "durable")]
#[tokio::test]
async fn a_store_on_disk_has_dead_letters() {
    let path = std::env::temp_dir().join(format!("hangup-unsendable-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (connect, mut wire) = wire();
    let outbox = Outbox::builder(connect, || Fragile)
        .confirm(by_reply())
        .durable(DiskStore::open(&path, Fsync::Never).unwrap())
        .spawn()
        .unwrap();
    let refused = outbox.send("1 refuse".to_string()).await.unwrap();
    let good = outbox.send("2 good".to_string()).await.unwrap();
    tokio::spawn(confirm_all(wire.accept().await));
    good.await.unwrap();
    assert!(refused.await.is_err());
    assert!(outbox.shutdown(LONG).await.is_store_closed());
    let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
    let letters = store.dead_letters().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].message(), "1 refuse");
    assert!(letters[0].reason().contains("not in this protocol"));
    assert!(store.recover().unwrap().is_empty());
    std::fs::remove_file(&path).unwrap();
}

/// One record that could not be decoded stopped the whole outbox.
#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_decoded_is_passed_over() {
    let store = MemoryStore::default();
    store.put(7, b"7 good");
    store.put(8, b"\xff\xff");
    store.put(9, b"9 good");
    let letters = Letters::default();
    let (outbox, mut wire) = fragile(&store, &letters, UnsendableAction::Keep);
    let peer = tokio::spawn(confirm_all(wire.accept().await));
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["7 good", "9 good"]);
    assert_eq!(store.numbers(), [8]);
    let letters = letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, 8);
    assert!(matches!(letters[0].1, UnsendableReason::DecodeFailed(_)));
}

/// The peer closes whenever it reads message 3. Messages 4 to 6 waited for ever.
#[tokio::test(start_paused = true)]
async fn a_message_on_which_the_peer_closes_is_set_aside() {
    let (builder, mut wire) = outbox();
    let outbox = builder.max_attempts(3).spawn().unwrap();
    let mut receipts = Vec::new();
    for id in 1..=6 {
        receipts.push(outbox.send(format!("{id} a")).await.unwrap());
    }
    let closes = tokio::spawn(async move {
        let mut poisoned = 0;
        let mut seen = Vec::new();
        loop {
            let mut peer = wire.accept().await;
            while let Some(Ok(message)) = futures::StreamExt::next(&mut peer).await {
                if message.starts_with('3') {
                    poisoned += 1;
                    break;
                }
                let reply = format!("ok {}", first_word(&message));
                seen.push(message);
                if peer.send(reply).await.is_err() {
                    break;
                }
            }
            if seen.iter().any(|line| line.starts_with('6')) {
                return (poisoned, seen);
            }
        }
    });
    for (receipt, id) in receipts.into_iter().zip(1..) {
        let outcome = receipt.await;
        if id == 3 {
            let error = outcome.unwrap_err();
            assert_eq!(*error.reason(), UndeliveredReason::TooManyAttempts(3));
        } else {
            outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
    assert_eq!(outbox.status().unsendable, 1);
    drop(outbox);
    let (poisoned, seen) = closes.await.unwrap();
    // Twice with others behind it, then three times alone.
    assert_eq!(poisoned, 5);
    assert_eq!(seen, ["1 a", "2 a", "4 a", "5 a", "6 a"]);
}

/// With priorities: the messages of other keys wait while a suspect goes alone, even the most urgent ones. Afterwards all go in
/// their order.
#[tokio::test(start_paused = true)]
async fn a_suspect_goes_alone_before_urgent_messages() {
    let (builder, mut wire) = outbox();
    let word = |message: &String, index| -> u8 {
        let word = message.split(' ').nth(index).unwrap();
        word.parse().unwrap()
    };
    // The id, the key, and the priority.
    let outbox = builder
        .max_attempts(3)
        .ordering_key(move |message: &String| word(message, 1))
        .priority(move |message: &String| word(message, 2))
        .spawn()
        .unwrap();
    let mut receipts = Vec::new();
    for message in ["1 1 0", "2 1 0", "3 1 5", "4 2 9", "5 3 0"] {
        receipts.push(outbox.send(message.to_string()).await.unwrap());
    }
    // The peer closes whenever it reads message 2. The first two times others are behind it.
    let mut peer = wire.accept().await;
    for expected in ["4 2 9", "1 1 0"] {
        let message = line(&mut peer).await;
        assert_eq!(message, expected);
        let reply = format!("ok {}", first_word(&message));
        peer.send(reply).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(line(&mut peer).await, "2 1 0");
        drop(peer);
        peer = wire.accept().await;
    }
    receipts.push(outbox.send("6 2 9".to_string()).await.unwrap());
    for _ in 0..3 {
        assert_eq!(line(&mut peer).await, "2 1 0");
        let more = tokio::time::timeout(LONG, line(&mut peer)).await;
        assert!(more.is_err(), "{more:?}");
        drop(peer);
        peer = wire.accept().await;
    }
    for expected in ["6 2 9", "3 1 5", "5 3 0"] {
        let message = line(&mut peer).await;
        assert_eq!(message, expected);
        let reply = format!("ok {}", first_word(&message));
        peer.send(reply).await.unwrap();
    }
    for (receipt, id) in receipts.into_iter().zip(1..) {
        let outcome = receipt.await;
        if id == 2 {
            let error = outcome.unwrap_err();
            assert_eq!(*error.reason(), UndeliveredReason::TooManyAttempts(3));
        } else {
            outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
}

/// The network's losses are not the message's.
#[tokio::test(start_paused = true)]
async fn a_message_is_not_blamed_for_the_network() {
    let (builder, mut wire) = outbox();
    let outbox = builder
        .max_attempts(2)
        .connect_timeout(Duration::from_secs(1))
        .spawn()
        .unwrap();
    let receipt = outbox.send("1 a".to_string()).await.unwrap();
    // Dead connections end at this side: at the other one nothing is heard of it.
    let mut dead = Vec::new();
    for _ in 0..10 {
        let mut peer = wire.accept().await;
        assert_eq!(line(&mut peer).await, "1 a");
        dead.push(peer);
        outbox.reconnect_now();
    }
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    peer.send("ok 1").await.unwrap();
    receipt.await.unwrap();
}

/// A message whose record cannot always be read back.
#[derive(Debug, Clone)]
struct Odd(&'static str);

impl AsRef<str> for Odd {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl Message for Odd {
    fn size(&self) -> usize {
        self.0.len()
    }
}

impl Record for Odd {
    fn to_bytes(&self) -> Bytes {
        self.0.into()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        match &*bytes {
            b"third" => Ok(Self("third")),
            _ => Err("of another version".into()),
        }
    }
}

/// The receipt of a message that was only in the store, and came back undecodable, resolved to "delivered".
#[tokio::test(start_paused = true)]
async fn the_receipt_of_a_record_that_cannot_be_decoded_tells_so() {
    let store = MemoryStore::default();
    let (connect, mut wire) = wire();
    let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(Confirm::by_number(LinesCodec::new, ok))
        .capacity(100, 1)
        .durable_nonblocking(store.clone())
        .spawn()
        .unwrap();
    let mut receipts = Vec::new();
    for message in ["first", "second", "third"] {
        receipts.push(outbox.send(Odd(message)).await.unwrap());
    }
    assert_eq!(outbox.status().on_disk, 2);
    let mut peer = wire.accept().await;
    for expected in ["first", "third"] {
        assert_eq!(line(&mut peer).await, expected);
        peer.send("ok").await.unwrap();
    }
    let second = receipts.remove(1).await.unwrap_err();
    let why = UndeliveredReason::DecodeFailed("of another version".into());
    assert_eq!((second.reason(), second.message().0), (&why, "second"));
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let status = outbox.status();
    assert_eq!(
        (status.delivered, status.unsendable, status.dropped),
        (2, 1, 1)
    );
}

/// The functions that tell an id, a key and a priority ran under the outbox's lock for messages that came from the store: one
/// that asked the outbox waited for itself.
#[tokio::test]
async fn the_functions_of_a_message_may_ask_the_outbox() {
    let store = MemoryStore::default();
    let outbox: Arc<Mutex<Option<Outbox<String>>>> = Arc::default();
    let asked = outbox.clone();
    let ask = move || asked.lock().unwrap().as_ref().map(Outbox::status);
    let (connect, mut wire) = wire();
    let (by_id, by_key, by_priority) = (ask.clone(), ask.clone(), ask);
    let confirm = Confirm::by_peer(
        move |message: &String| {
            by_id();
            first_word(message).parse().unwrap()
        },
        LinesCodec::new,
        |reply: String| meaning(&reply),
    );
    let built = Outbox::builder(connect, LinesCodec::new)
        .confirm(confirm)
        .capacity(100, 1)
        .ordering_key(move |message: &String| {
            by_key();
            message.clone()
        })
        .priority(move |_: &String| {
            by_priority();
            1
        })
        .durable(store)
        .spawn()
        .unwrap();
    *outbox.lock().unwrap() = Some(built.clone());
    for message in ["1 a", "2 b", "3 c"] {
        drop(within(built.send(message.to_string())).await.unwrap());
    }
    let peer = tokio::spawn(async move { confirm_all(wire.accept().await).await });
    let mut states = built.subscribe();
    let all = states.wait_for(|status| status.delivered == 3);
    drop(within(all).await.unwrap());
    drop(outbox.lock().unwrap().take());
    assert!(within(built.shutdown(LONG)).await.is_complete());
    assert_eq!(peer.await.unwrap(), ["1 a", "2 b", "3 c"]);
}
