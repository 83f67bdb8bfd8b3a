//! JSON messages: one line each, whatever is in them, and back from a store.

use crate::support::soon;
use crate::wire::{line, wire};
use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::{
    Confirm, Json, JsonLines, Message, NumberedJsonLines, Outbox, Processed, Record,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    values: Vec<f64>,
}

fn reading(number: usize) -> Reading {
    Reading {
        sensor: format!("hall\nno. {number}"),
        values: vec![number as f64; number],
    }
}

#[tokio::test]
async fn each_message_is_a_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outbox = Outbox::builder(move || TcpStream::connect(address), JsonLines::new)
        .spawn()
        .unwrap();
    for number in 0..3 {
        let message = Json::new(reading(number)).unwrap();
        assert_eq!(message.size(), message.json().len());
        drop(outbox.send(message).await.unwrap());
    }
    let (peer, _) = soon("the outbox", listener.accept()).await.unwrap();
    let mut lines = BufReader::new(peer).lines();
    for number in 0..3 {
        let line = soon("a line", lines.next_line()).await.unwrap().unwrap();
        let received: Reading = serde_json::from_str(&line).unwrap();
        assert_eq!(received, reading(number));
    }
}

#[test]
fn a_record_comes_back_and_damage_is_an_error() {
    let message = Json::new(reading(2)).unwrap();
    let restored = Json::<Reading>::from_bytes(message.to_bytes()).unwrap();
    assert_eq!(*restored, reading(2));
    assert_eq!(restored.json(), message.json());
    // The JSON is of another type, or cut.
    let other = Json::<Reading>::from_bytes(Bytes::from_static(b"[1,2]"));
    assert!(other.unwrap_err().to_string().contains("line 1"));
    let cut = message.to_bytes().slice(..10);
    assert!(Json::<Reading>::from_bytes(cut).is_err());
}

/// A record of a program that stored JSON with line breaks reached the peer as several lines.
#[test]
fn json_of_several_lines_becomes_one_line() {
    let mut pretty = serde_json::to_string_pretty(&reading(2)).unwrap();
    pretty.push_str("\r\n");
    assert!(pretty.lines().count() > 3);
    let restored = Json::<Reading>::from_bytes(pretty.into()).unwrap();
    assert_eq!(*restored, reading(2));
    let json = std::str::from_utf8(restored.json()).unwrap();
    assert!(!json.contains(['\n', '\r']), "{json}");
    assert_eq!(serde_json::from_str::<Reading>(json).unwrap(), reading(2));
    assert_eq!(restored.to_bytes(), restored.json());
}

#[derive(Debug, PartialEq, Deserialize)]
struct Numbered {
    number: u64,
    message: Reading,
}

/// Numbers, in order, across a lost connection, past replies that name no message, and for large and odd messages.
#[tokio::test]
async fn numbered_lines_name_their_messages() {
    let (connect, mut wire) = wire();
    let confirm = Confirm::by_number(tokio_util::codec::LinesCodec::new, |reply: String| {
        Some(Processed::One(reply.parse().ok()?))
    });
    let outbox = Outbox::builder_with_envelope(connect, NumberedJsonLines::new)
        .confirm(confirm)
        .spawn()
        .unwrap();
    let mut messages = vec![reading(1), reading(20_000), reading(3)];
    messages[0].sensor = "\u{202e}hall \u{0} \u{2028} \"}\n{\" 🦀".to_owned();
    let mut receipts = Vec::new();
    for message in &messages {
        let copy = serde_json::to_value(message).unwrap();
        let message = Json::new(serde_json::from_value::<Reading>(copy).unwrap()).unwrap();
        receipts.push(soon("room", outbox.send(message)).await.unwrap());
    }
    let numbers: Vec<u64> = receipts
        .iter()
        .map(hangup::outbox::Receipt::number)
        .collect();
    let read = async |peer: &mut crate::wire::Lines| {
        let line = soon("a line", line(peer)).await;
        serde_json::from_str::<Numbered>(&line).unwrap()
    };
    let mut peer = wire.accept().await;
    assert_eq!(read(&mut peer).await.number, numbers[0]);
    assert_eq!(read(&mut peer).await.number, numbers[1]);
    for foreign in [
        "18446744073709551615",
        "-1",
        "",
        "1e3",
        "\u{661}",
        "99999999999999999999999",
    ] {
        peer.send(foreign).await.unwrap();
    }
    peer.send(numbers[1].to_string()).await.unwrap();
    soon("the second", receipts.remove(1)).await.unwrap();
    drop(peer);
    let mut peer = wire.accept().await;
    for place in [0, 2] {
        let numbered = read(&mut peer).await;
        assert_eq!(numbered.number, numbers[place]);
        assert_eq!(numbered.message, messages[place]);
        peer.send(numbers[place].to_string()).await.unwrap();
    }
    for receipt in receipts {
        soon("the rest", receipt).await.unwrap();
    }
}
