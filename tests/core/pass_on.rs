//! `CopyOutcome::pass_on`, with a peer that is still sending.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::tls::Setup;
use crate::support::{DEADLINE, Pair, Peer, Tcp4, Unix, soon};
use hangup::{CloseReason, CopyOutcome, MonitoredStream, copy_bidirectional};
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

const BODY: usize = 8 << 20;
const ANSWER: &[u8] = b"413 too large";

/// A server refuses an upload, and the client looks for the answer when it has sent all of it.
async fn refuse<P: Pair>() {
    let ((a, mut client), (b, mut server)) = (P::pair(), P::pair());
    let mut a = MonitoredStream::new(a).unwrap();
    let mut b = MonitoredStream::new(b).unwrap();
    let client = thread::spawn(move || {
        client.write_all(&vec![7; BODY]).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answer
    });
    let server = thread::spawn(move || {
        server.read_exact(&mut [0; 1024]).unwrap();
        server.write_all(ANSWER).unwrap();
        server.finish();
        server
    });
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
    assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
    let passed = copied.pass_on(&mut a, &mut b, DEADLINE);
    soon("the end", passed).await.unwrap();
    assert_eq!(a.close_reason(), Some(CloseReason::Finished));
    drop((a, b));
    assert_eq!(client.join().unwrap(), ANSWER);
    drop(server.join().unwrap());
}

#[tokio::test]
async fn the_answer_reaches_a_client_that_is_still_sending() {
    for _ in 0..3 {
        refuse::<Tcp4>().await;
        refuse::<Unix>().await;
    }
}

/// The outcome of a copy whose second peer has left, and the stream whose peer sends.
async fn left() -> (
    CopyOutcome,
    [MonitoredStream<TcpStream>; 2],
    std::net::TcpStream,
) {
    let ((a, client), (b, server)) = (Tcp4::pair(), Tcp4::pair());
    let mut a = MonitoredStream::new(a).unwrap();
    let mut b = MonitoredStream::new(b).unwrap();
    drop(server);
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
    assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
    (copied, [a, b], client)
}

/// It has everything, so nothing is wrong. It is only not read for ever.
#[tokio::test]
async fn a_peer_that_goes_on_sending_is_left_alone() {
    let (copied, [mut a, mut b], mut client) = left().await;
    let sender = thread::spawn(move || while client.write_all(&[7; 65536]).is_ok() {});
    let passed = copied.pass_on(&mut a, &mut b, DEADLINE);
    soon("the end", passed).await.unwrap();
    let read = a.monitor().transfer().read;
    assert!(((16 << 20)..(17 << 20)).contains(&read), "{read}");
    drop((a, b));
    sender.join().unwrap();
}

/// One that sends nothing, and stays.
#[tokio::test]
async fn a_peer_that_stays_is_not_waited_for() {
    let (copied, [mut a, mut b], client) = left().await;
    let passed = copied.pass_on(&mut a, &mut b, Duration::from_secs(600));
    soon("the end", passed).await.unwrap();
    assert_eq!(a.close_reason(), None);
    drop(client);
}

/// Where nothing tells what has arrived, the end of the peer does.
#[tokio::test]
async fn the_end_of_a_peer_that_acknowledges_nothing() {
    for ends in [true, false] {
        let ((ours, mut client), (theirs, server)) = (duplex(64), duplex(64));
        let mut a = MonitoredStream::unwatched(ours);
        let mut b = MonitoredStream::unwatched(theirs);
        drop(server);
        let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
        let client = tokio::spawn(async move {
            client.write_all(&[7; 1000]).await.unwrap();
            if ends {
                client.shutdown().await.unwrap();
            }
            client.read_to_end(&mut Vec::new()).await.unwrap();
            client
        });
        let within = if ends {
            DEADLINE
        } else {
            Duration::from_millis(200)
        };
        let passed = soon("the end", copied.pass_on(&mut a, &mut b, within)).await;
        assert_eq!(passed.is_ok(), ends, "{passed:?}");
        assert_eq!(a.monitor().transfer().read, 1000);
        drop(client.await.unwrap());
    }
}

/// The same above TLS, where a client may answer with a FIN alone.
#[tokio::test]
async fn the_end_of_a_client_of_tls() {
    for orderly in [true, false] {
        let ((ours, client), (theirs, mut server)) = (Tcp4::pair(), Tcp4::pair());
        let (connector, acceptor) = Setup::default().make();
        client.set_nonblocking(true).unwrap();
        let client = TcpStream::from_std(client).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = MonitoredStream::new(ours).unwrap();
        let (a, client) = tokio::join!(
            stream.layer(|transport| acceptor.accept(transport)),
            connector.connect(name, client)
        );
        let (mut a, mut client) = (a.unwrap(), client.unwrap());
        let mut b = MonitoredStream::new(theirs).unwrap();
        let client = tokio::spawn(async move {
            client.write_all(&vec![7; 1 << 20]).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            match orderly {
                true => client.shutdown().await.unwrap(),
                false => client.get_mut().0.shutdown().await.unwrap(),
            }
            answer
        });
        server.write_all(ANSWER).unwrap();
        server.finish();
        let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
        assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
        let passed = copied.pass_on(&mut a, &mut b, DEADLINE);
        soon("the end", passed).await.unwrap();
        drop((a, b));
        assert_eq!(soon("the client", client).await.unwrap(), ANSWER);
    }
}
