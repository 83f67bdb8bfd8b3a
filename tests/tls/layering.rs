//! Both layerings with TLS, over real sockets: below the TLS stream and above it.

#![cfg(unix)]

use crate::support::tls::{Setup, default_handshake};
use crate::support::{Pair, Peer, Tcp4, reason, soon};
use hangup::{CloseReason, MonitoredStream, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

async fn say(to: &mut (impl AsyncWrite + Unpin), from: &mut (impl AsyncRead + Unpin), what: &[u8]) {
    soon("a write", to.write_all(what)).await.unwrap();
    soon("a flush", to.flush()).await.unwrap();
    let mut heard = vec![0; what.len()];
    soon("a read", from.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, what);
}

#[tokio::test]
async fn above_the_tls_stream() {
    let (ours, peer) = Tcp4::pair();
    let (ours, mut peer) = default_handshake(ours, peer).await;
    let mut stream = MonitoredStream::new(ours).unwrap();
    say(&mut stream, &mut peer, b"hello").await;
    say(&mut peer, &mut stream, b"hello yourself").await;
    let monitor = stream.monitor();
    // Plain bytes are counted: those that the TLS stream took.
    assert_eq!(
        (monitor.transfer().accepted, monitor.transfer().read),
        (5, 14)
    );
    // The socket's acknowledged bytes are none of these.
    assert_eq!(monitor.transfer().acknowledged, None);
    assert_eq!(monitor.probe(), Status::Open);
    // close_notify, then the FIN, while nobody reads.
    soon("the peer's shutdown", peer.shutdown()).await.unwrap();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert_eq!(soon("a read", stream.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn below_the_tls_stream() {
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(ours).unwrap();
    // Taken before the handshake, as it would be for a connection whose handshake never ends.
    let monitor = stream.monitor();
    let (mut ours, mut peer) = default_handshake(stream, peer).await;
    say(&mut ours, &mut peer, b"hello").await;
    say(&mut peer, &mut ours, b"hello yourself").await;
    // Records are counted: what the socket took.
    assert!(monitor.transfer().accepted > 5);
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    let error = soon("a write", async {
        ours.write_all(b"for nobody").await?;
        ours.flush().await
    });
    let error = error.await.unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);
}

#[tokio::test]
async fn our_shutdown_under_tls_is_the_orderly_end() {
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let (mut ours, mut peer) = default_handshake(stream, peer).await;
    say(&mut ours, &mut peer, b"all of it").await;
    soon("our shutdown", ours.shutdown()).await.unwrap();
    assert_eq!(soon("the end", peer.read(&mut [0])).await.unwrap(), 0);
    drop(peer);
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
}

/// A reset under a TLS stream that is read only after the watcher has taken the socket's error: the
/// reader is told of the reset, and not of an end of file in the middle of TLS.
#[tokio::test]
async fn a_reset_under_the_tls_stream() {
    let (ours, peer) = Tcp4::pair();
    let (ours, mut peer) = default_handshake(ours, peer).await;
    let mut stream = MonitoredStream::new(ours).unwrap();
    say(&mut stream, &mut peer, b"hello").await;
    peer.into_inner().0.into_std().unwrap().reset();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    let error = soon("a read", stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
}

/// A client that leaves in the middle of the handshake, which no layer above has heard of yet.
#[tokio::test]
async fn a_handshake_that_never_ends() {
    let (ours, peer) = Tcp4::pair();
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let accepting = Setup::default().make().1.accept(stream);
    let (ended, ()) = soon("the end of the handshake", async {
        tokio::join!(monitor.run_until_closed(accepting), async {
            tokio::task::yield_now().await;
            drop(peer);
        })
    })
    .await;
    // Whichever is first: the watcher, or the read that finds the end.
    match ended {
        Err(reason) => assert_eq!(reason, CloseReason::PeerClosed),
        Ok(accepted) => assert!(accepted.is_err()),
    }
    assert!(monitor.is_closed());
}

#[tokio::test]
async fn addresses_and_nodelay_through_each_layering() {
    let (ours, peer) = Tcp4::pair();
    let (local, remote) = (ours.local_addr().unwrap(), ours.peer_addr().unwrap());
    let (ours, _peer) = default_handshake(ours, peer).await;
    let above = MonitoredStream::new(ours).unwrap();
    assert_eq!(above.local_addr().unwrap(), local);
    assert_eq!(above.peer_addr().unwrap(), remote);
    above.set_nodelay(true).unwrap();
    assert!(above.get_ref().get_ref().0.nodelay().unwrap());

    let (ours, peer) = Tcp4::pair();
    let remote = ours.peer_addr().unwrap();
    let (below, _peer) = default_handshake(MonitoredStream::new(ours).unwrap(), peer).await;
    // A layer on both sides, as `hangup::tls` makes it, and one more.
    let both = MonitoredStream::unwatched(below);
    assert_eq!(both.peer_addr().unwrap(), remote);
    both.set_nodelay(true).unwrap();
    assert!(both.nodelay().unwrap());
}

/// The peer reads to the end, which TLS tells from a truncation, and its answer still comes.
#[tokio::test]
async fn the_drop_of_a_write_half_ends_tls_in_order() {
    let (ours, peer) = Tcp4::pair();
    let (ours, mut peer) = default_handshake(ours, peer).await;
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        writer.write_all(b"all").await.unwrap();
        writer.flush().await.unwrap();
        drop(writer);
    };
    let answer = async {
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "all");
        peer.write_all(b"thanks").await.unwrap();
        peer.shutdown().await.unwrap();
    };
    let mut heard = String::new();
    let read = reader.read_to_string(&mut heard);
    let (_, (), read) = soon("both", async { tokio::join!(write, answer, read) }).await;
    read.unwrap();
    assert_eq!(heard, "thanks");
    assert_eq!(reason(&monitor).await, CloseReason::Finished);
}
