//! Replies that arrived before a reset count.

use crate::sockets::number;
use bytes::{BufMut, Bytes, BytesMut};
use hangup::outbox::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};
use tokio_util::codec::{Encoder, LengthDelimitedCodec};

const LONG: Duration = Duration::from_secs(60);

/// The messages are numbered, and larger than a batch together.
const MESSAGES: u64 = 200;

/// How many messages the first connection's peer reads and confirms.
const READ: u64 = 50;

fn message(number: u64) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u64(number);
    message.put_bytes(0, 1000);
    message.freeze()
}

/// Waits, before it encodes message 100 for the first time, for the peer to be gone.
struct Waiting {
    codec: LengthDelimitedCodec,
    gone: Option<mpsc::Receiver<()>>,
}

impl Encoder<Bytes> for Waiting {
    type Error = io::Error;

    fn encode(&mut self, message: Bytes, output: &mut BytesMut) -> io::Result<()> {
        if let Some(gone) = self.gone.take_if(|_| number(&message) == 100) {
            gone.recv_timeout(LONG).expect("the peer leaves");
        }
        self.codec.encode(message, output)
    }
}

fn next(peer: &mut TcpStream) -> io::Result<u64> {
    let mut length = [0; 4];
    peer.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    peer.read_exact(&mut message)?;
    Ok(number(message))
}

fn confirm(peer: &mut impl Write, number: u64) -> io::Result<()> {
    let mut reply = 8_u32.to_be_bytes().to_vec();
    reply.put_u64(number);
    peer.write_all(&reply)
}

/// Confirms `READ` messages, each by a reply, and closes with the rest unread: a reset. Then confirms all that comes
/// on the next connection, and returns the number of its first message.
fn peer(listener: &TcpListener, gone: &mpsc::Sender<()>) -> io::Result<u64> {
    let (mut first, _) = listener.accept()?;
    let mut replies = Vec::new();
    for _ in 0..READ {
        let number = next(&mut first)?;
        confirm(&mut replies, number)?;
    }
    // In one write: a segment that waits in the peer is lost with the reset.
    first.write_all(&replies)?;
    let _ = first.peek(&mut [0])?;
    drop(first);
    gone.send(()).unwrap();

    let (mut second, _) = listener.accept()?;
    let came = next(&mut second)?;
    confirm(&mut second, came)?;
    for _ in came + 1..MESSAGES {
        let number = next(&mut second)?;
        confirm(&mut second, number)?;
    }
    Ok(came)
}

/// The write finds the reset while the runtime has not heard of the replies.
#[tokio::test]
async fn replies_that_a_reset_follows_count() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (gone, until_gone) = mpsc::channel();
    let peer = thread::spawn(move || peer(&listener, &gone));
    let mut until_gone = Some(until_gone);
    let outbox = Outbox::builder(
        move || tokio::net::TcpStream::connect(address),
        move || Waiting {
            codec: LengthDelimitedCodec::new(),
            gone: until_gone.take(),
        },
    )
    .confirm(Confirm::by_peer(
        |message: &Bytes| number(message),
        LengthDelimitedCodec::new,
        |reply: BytesMut| Some(Processed::One(number(reply))),
    ))
    .backoff(Backoff::exponential(Duration::from_millis(1), Duration::from_millis(4)).unwrap())
    .spawn()
    .unwrap();
    for number in 0..MESSAGES {
        drop(outbox.send(message(number)).await.unwrap());
    }
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(
        peer.join().unwrap().unwrap(),
        READ,
        "the first that comes again"
    );
}
