//! (10) A server refuses an upload over TLS, and reads on. The write that finds the end has moved the answer into the
//! buffer of the stream: it is unread there, and nobody gives the connection up before it was read.

use crate::support::tls::Setup;
use crate::support::{DEADLINE, Pair, Tcp4, reason, soon};
use hangup::{CloseReason, MonitorConfig, MonitoredStream, tls};
use socket2::SockRef;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn with_a_close_notify() {
    // The end is found by a write, and not by the end of the delay.
    an_answer(DEADLINE, true, CloseReason::PeerClosed).await;
}

#[tokio::test]
async fn with_a_fin_alone() {
    an_answer(DEADLINE, false, CloseReason::Truncated).await;
}

/// The delay is over, and the rest of the answer is in rustls' buffer.
#[tokio::test]
async fn after_the_delay() {
    an_answer(Duration::from_millis(1), true, CloseReason::PeerClosed).await;
}

async fn an_answer(delay: Duration, notifies: bool, expected: CloseReason) {
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new().fin_delay(delay);
    let ours = MonitoredStream::with_config(ours, &config).unwrap();
    peer.set_nonblocking(true).unwrap();
    let peer = TcpStream::from_std(peer).unwrap();
    let (connector, acceptor) = Setup::default().make();
    let (ours, peer) = soon("the handshake", async {
        let name = "localhost".try_into().unwrap();
        tokio::join!(tls::connect(&connector, name, ours), acceptor.accept(peer))
    })
    .await;
    let (mut ours, mut peer) = (ours.unwrap(), peer.unwrap());
    peer.write_all(b"413").await.unwrap();
    peer.flush().await.unwrap();
    match notifies {
        true => peer.shutdown().await.unwrap(),
        false => SockRef::from(peer.get_ref().0)
            .shutdown(Shutdown::Write)
            .unwrap(),
    }
    soon("a write that looks behind the answer", async {
        while !ours.is_closed() {
            if delay == DEADLINE {
                ours.write_all(b"upload").await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(reason(&ours.monitor()).await, expected);
    let mut answer = [0; 3];
    soon("a part of the answer", ours.read_exact(&mut answer[..2]))
        .await
        .unwrap();
    ours.write_all(b"upload").await.unwrap();
    soon("the rest", ours.read_exact(&mut answer[2..]))
        .await
        .unwrap();
    assert_eq!(&answer, b"413");
    let end = soon("the end", ours.read(&mut [0])).await;
    match notifies {
        true => assert_eq!(end.unwrap(), 0),
        false => assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof),
    }
    let error = ours.write_all(b"upload").await.unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(&expected));
}
