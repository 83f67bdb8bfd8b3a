//! JSON messages: one line each, whatever is in them, and back from a store.

use crate::support::soon;
use bytes::Bytes;
use hangup::outbox::{Json, JsonLines, Message, Outbox, Record};
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
