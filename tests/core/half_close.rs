//! A half-close that may last as long as something moves: `HalfClose::AllowFor`, and the option of a copy.

use crate::support::{DEADLINE, Pair, Peer, Tcp4, reason, soon};
use hangup::{
    CloseReason, CopyOptions, HalfClose, MonitorConfig, MonitoredStream, Status, copy_bidirectional,
};
use socket2::SockRef;
use std::io::{Read, Write};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, advance, sleep, timeout};

const PERIOD: Duration = Duration::from_secs(10);

fn allowed_for(period: Duration) -> MonitorConfig {
    MonitorConfig::new().half_close(HalfClose::AllowFor(period))
}

/// Until a copy has moved nothing to this stream for a while.
#[cfg(target_os = "linux")]
async fn until_idle(to_client: &hangup::Monitor) {
    let mut idle = 0;
    while idle < 1000 {
        let before = to_client.accepted();
        tokio::task::yield_now().await;
        idle = if to_client.accepted() > before {
            0
        } else {
            idle + 1
        };
    }
}

/// The relay of a client that half-closes and is gone, with a server that sends nothing.
#[tokio::test]
async fn a_relay_whose_client_vanished_ends() {
    let config = allowed_for(Duration::from_millis(100));
    let ((a, mut client), (b, server)) = (Tcp4::pair(), Tcp4::pair());
    let mut a = MonitoredStream::with_config(a, &config).unwrap();
    let mut b = MonitoredStream::with_config(b, &config).unwrap();
    client.write_all(b"request").unwrap();
    drop(client);
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
    assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    assert_eq!((copied.b.reason, copied.b.transfer.accepted), (None, 7));
    drop(server);
}

/// While something moves in each period the half-close lasts; when nothing does it ends within two of them.
#[tokio::test(start_paused = true)]
async fn it_lasts_as_long_as_something_moves() {
    let (ours, mut peer) = duplex(1 << 20);
    let mut ours = MonitoredStream::unwatched_with_config(ours, &allowed_for(PERIOD));
    let monitor = ours.monitor();
    peer.shutdown().await.unwrap();
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(monitor.status(), Status::PeerFinished);
    for _ in 0..20 {
        sleep(PERIOD * 9 / 10).await;
        ours.write_all(b"part of an answer").await.unwrap();
    }
    let last = Instant::now();
    assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
    assert!(
        (PERIOD..=PERIOD * 2).contains(&last.elapsed()),
        "{:?}",
        last.elapsed()
    );
    let error = ours.write(b"x").await.unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
}

/// An answer that comes in time ends the stream in order.
#[tokio::test(start_paused = true)]
async fn an_orderly_end_stops_the_timer() {
    let (ours, mut peer) = duplex(64);
    let mut ours = MonitoredStream::unwatched_with_config(ours, &allowed_for(PERIOD));
    peer.shutdown().await.unwrap();
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    ours.write_all(b"answer").await.unwrap();
    ours.shutdown().await.unwrap();
    sleep(PERIOD * 3).await;
    assert_eq!(ours.close_reason(), Some(CloseReason::Finished));
}

/// A stream whose peer has not finished is in no period.
#[tokio::test(start_paused = true)]
async fn an_open_stream_may_stand_still() {
    let (ours, _peer) = duplex(64);
    let ours = MonitoredStream::unwatched_with_config(ours, &allowed_for(PERIOD));
    assert!(timeout(PERIOD * 10, ours.closed()).await.is_err());
}

#[tokio::test]
async fn no_time_at_all_is_no_half_close() {
    let (ours, peer) = Tcp4::pair();
    let ours = MonitoredStream::with_config(ours, &allowed_for(Duration::ZERO)).unwrap();
    peer.finish();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::PeerClosed);
}

/// The option of a copy, for streams without a limit of their own.
#[tokio::test(start_paused = true)]
async fn a_copy_ends_when_the_other_direction_stands_still() {
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let ((a, mut client), (b, mut server)) = (duplex(64), duplex(64));
    let mut a = MonitoredStream::unwatched_with_config(a, &config);
    let mut b = MonitoredStream::unwatched_with_config(b, &config);
    let copying = tokio::spawn(async move {
        let options = CopyOptions::new().half_close_timeout(PERIOD);
        (options.copy(&mut a, &mut b).await, a, b)
    });
    client.write_all(b"request").await.unwrap();
    client.shutdown().await.unwrap();
    for _ in 0..10 {
        sleep(PERIOD * 9 / 10).await;
        server.write_all(b"part").await.unwrap();
    }
    let last = Instant::now();
    let (copied, _a, _b) = copying.await.unwrap();
    assert!(
        (PERIOD..=PERIOD * 2).contains(&last.elapsed()),
        "{:?}",
        last.elapsed()
    );
    assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    assert_eq!(copied.a.transfer.accepted, 40);
    assert_eq!(copied.b.reason, None);
}

/// A relay with the option. The server sends its answer and closes, and the client, which has sent no FIN, pauses for long
/// while it reads. The copy took the end of the direction to the closed server for a half-close of the client: it closed
/// the client's stream as `PeerClosed` after a period, and the rest of the answer was lost.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_no_half_close() {
    let ((a, mut client), (b, mut server)) = (duplex(64), duplex(1024));
    let mut a = MonitoredStream::unwatched(a);
    // As a watcher reports it, before the end of the input is read.
    let mut b = MonitoredStream::with_signal(b, async { CloseReason::PeerClosed });
    server.write_all(&[7; 1000]).await.unwrap();
    drop(server);
    let copying = tokio::spawn(async move {
        let options = CopyOptions::new().half_close_timeout(PERIOD);
        (options.copy(&mut a, &mut b).await, a)
    });
    sleep(PERIOD * 5).await;
    let mut answer = [0; 1000];
    let read = timeout(PERIOD, client.read_exact(&mut answer)).await;
    read.expect("the rest is lost").unwrap();
    let (copied, _a) = copying.await.unwrap();
    assert_eq!((copied.a.reason, copied.a.transfer.accepted), (None, 1000));
    assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
}

/// A client half-closes and reads a long answer slowly. The kernel takes nothing from the copy until a third of its buffer is
/// free, which lasts longer than a period. The copy took that for a client that is gone, and the rest of the answer was lost.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_that_reads_slowly_is_not_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let client = socket.connect(listener.local_addr().unwrap()).await;
    let mut client = client.unwrap().into_std().unwrap();
    client.set_nonblocking(false).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let config = MonitorConfig::new().half_close(HalfClose::Allow);
    let (a, _) = listener.accept().await.unwrap();
    SockRef::from(&a).set_send_buffer_size(1 << 20).unwrap();
    let mut a = MonitoredStream::with_config(a, &config).unwrap();
    let (b, mut server) = Tcp4::pair();
    let mut b = MonitoredStream::with_config(b, &config).unwrap();
    let (to_client, from_server) = (a.monitor(), b.monitor());
    let copying = tokio::spawn(async move {
        let options = CopyOptions::new().half_close_timeout(PERIOD);
        (options.copy(&mut a, &mut b).await, a, b)
    });
    client.finish();
    server.fill();
    until_idle(&to_client).await;
    for _ in 0..8 {
        let before = to_client.transfer().acknowledged;
        while to_client.transfer().acknowledged == before {
            client.read_exact(&mut [0; 1024]).unwrap();
        }
        advance(PERIOD * 9 / 10).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(to_client.status(), Status::PeerFinished);
    assert!(from_server.transfer().read > to_client.accepted());
    // Now it reads no more.
    let (copied, _a, _b) = copying.await.unwrap();
    assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    assert_eq!(copied.b.reason, None);
    drop(server);
}

/// As [`a_half_closed_client_that_reads_slowly_is_not_gone`], over a Unix socket. It takes more when three quarters of its
/// memory are free, and the system does not count what the client has read: only its queue shows that the client reads.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_of_a_unix_socket_that_reads_slowly_is_not_gone() {
    for by_the_copy in [false, true] {
        let (a, mut client) = crate::support::Unix::pair();
        let (b, mut server) = Tcp4::pair();
        let (config, options) = match by_the_copy {
            false => (allowed_for(PERIOD), CopyOptions::new()),
            true => (
                MonitorConfig::new().half_close(HalfClose::Allow),
                CopyOptions::new().half_close_timeout(PERIOD),
            ),
        };
        let mut a = MonitoredStream::with_config(a, &config).unwrap();
        let mut b = MonitoredStream::new(b).unwrap();
        let to_client = a.monitor();
        let copying = tokio::spawn(async move { (options.copy(&mut a, &mut b).await, a, b) });
        client.finish();
        server.fill();
        until_idle(&to_client).await;
        let before = to_client.accepted();
        for _ in 0..8 {
            // A part that the copy has written.
            client.read_exact(&mut [0; 16 << 10]).unwrap();
            advance(PERIOD * 9 / 10).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(to_client.status(), Status::PeerFinished, "{by_the_copy}");
        assert_eq!(to_client.accepted(), before, "{by_the_copy}");
        // Now it reads no more.
        let (copied, _a, _b) = copying.await.unwrap();
        assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
        drop(server);
    }
}

/// The end of the input was read, so what the FIN means is known. A reset behind it waited for the rest of the FIN's delay, and
/// so did a write that found the broken pipe.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn a_reset_after_a_half_close_is_not_delayed() {
    let (ours, peer) = Tcp4::pair();
    let config = MonitorConfig::new()
        .half_close(HalfClose::Allow)
        .fin_delay(DEADLINE * 2);
    let mut ours = MonitoredStream::with_config(ours, &config).unwrap();
    peer.finish();
    let read = soon("the end", ours.read(&mut [0])).await;
    assert_eq!(read.unwrap(), 0);
    assert_eq!(ours.monitor().status(), Status::PeerFinished);
    peer.reset();
    assert_eq!(reason(&ours.monitor()).await, CloseReason::Reset);
}
