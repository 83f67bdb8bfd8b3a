//! `copy_bidirectional`: what arrives, when it ends, and what it reports.

#[cfg(target_os = "linux")]
use crate::support::until;
use crate::support::{DEADLINE, Pair, Peer, Tcp4, lacks, soon};
use hangup::{
    CloseReason, CopyOutcome, HalfClose, MonitorConfig, MonitoredStream, StallPolicy,
    copy_bidirectional,
};
#[cfg(target_os = "linux")]
use rustix::event::PollFlags;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

type Ours = MonitoredStream<tokio::net::TcpStream>;

/// A copy that runs between two peers. The streams come back with what it reported.
fn copy(config: &MonitorConfig) -> (JoinHandle<(CopyOutcome, Ours, Ours)>, TcpStream, TcpStream) {
    let (a, client) = Tcp4::pair();
    let (b, server) = Tcp4::pair();
    let mut a = MonitoredStream::with_config(a, config).unwrap();
    let mut b = MonitoredStream::with_config(b, config).unwrap();
    let copy = tokio::spawn(async move {
        let copied = copy_bidirectional(&mut a, &mut b).await;
        (copied, a, b)
    });
    for peer in [&client, &server] {
        peer.set_write_timeout(Some(DEADLINE)).unwrap();
    }
    (copy, client, server)
}

fn allowed() -> MonitorConfig {
    MonitorConfig::new().half_close(HalfClose::Allow)
}

/// Waits, away from the runtime, until `peer` has read so many bytes.
async fn take(mut peer: TcpStream, bytes: usize) -> (TcpStream, Vec<u8>) {
    let taking = tokio::task::spawn_blocking(move || {
        let mut taken = vec![0; bytes];
        peer.read_exact(&mut taken).unwrap();
        (peer, taken)
    });
    soon("the bytes", taking).await.unwrap()
}

/// Reads to the end, away from the runtime.
async fn take_all(mut peer: TcpStream) -> std::io::Result<Vec<u8>> {
    let taking = tokio::task::spawn_blocking(move || {
        let mut taken = Vec::new();
        peer.read_to_end(&mut taken).map(|_| taken)
    });
    soon("the end", taking).await.unwrap()
}

#[tokio::test]
async fn a_fin_ends_both_directions_after_what_had_arrived() {
    let (copy, client, mut server) = copy(&MonitorConfig::new());
    server.write_all(b"hello").unwrap();
    let (mut client, hello) = take(client.try_clone().unwrap(), 5).await;
    assert_eq!(hello, b"hello");
    client.write_all(&[7; 100_000]).unwrap();
    client.finish();
    let (copied, a, b) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.a.reason, Some(CloseReason::PeerClosed));
    assert_eq!(copied.b.reason, None);
    assert_eq!(copied.a.transfer.read, 100_000);
    assert_eq!(copied.a.transfer.accepted, 5);
    assert_eq!(copied.b.transfer.read, 5);
    assert_eq!(copied.b.transfer.accepted, 100_000);
    assert_eq!(take_all(server).await.unwrap(), [7; 100_000]);
    drop((a, b));
}

/// A reset is not passed on as an orderly end: the server would take a part for the whole.
#[tokio::test]
async fn a_reset_ends_both_directions_and_is_no_fin() {
    if lacks(
        "reset_of_reads",
        "a_reset_ends_both_directions_and_is_no_fin",
    ) {
        return;
    }
    let (copy, mut client, server) = copy(&MonitorConfig::new());
    client.write_all(b"the first half").unwrap();
    let (server, _) = take(server, 14).await;
    client.reset();
    let (copied, a, mut b) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.a.reason, Some(CloseReason::Reset));
    assert_eq!(copied.b.reason, None);
    // It is open in both directions.
    b.write_all(b"!").await.unwrap();
    let (server, _) = take(server, 1).await;
    b.abort();
    drop((a, b));
    let error = take_all(server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Invariant 5. What arrived just before a reset is delivered all the same.
#[tokio::test]
async fn what_arrived_before_a_reset_is_delivered() {
    let (a, mut client) = Tcp4::pair();
    let (b, server) = Tcp4::pair();
    let mut a = MonitoredStream::new(a).unwrap();
    let mut b = MonitoredStream::new(b).unwrap();
    client.write_all(&[7; 50_000]).unwrap();
    client.reset();
    assert_eq!(
        crate::support::reason(&a.monitor()).await,
        CloseReason::Reset
    );
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
    assert_eq!(copied.a.reason, Some(CloseReason::Reset));
    assert_eq!(copied.b.transfer.accepted, 50_000);
    assert_eq!(take(server, 50_000).await.1, [7; 50_000]);
}

/// The server sends what the client does not read, and the client leaves. tokio's copy passes the FIN on
/// and waits for the client to read.
#[tokio::test]
async fn a_hang_up_ends_a_direction_that_is_blocked() {
    for reset in [false, true] {
        if reset
            && lacks(
                "reset_of_reads",
                "a_hang_up_ends_a_direction_that_is_blocked",
            )
        {
            continue;
        }
        let (copy, client, mut server) = copy(&MonitorConfig::new());
        let flood = thread::spawn(move || {
            let error = loop {
                if let Err(error) = server.write_all(&[7; 65536]) {
                    break error;
                }
            };
            (error, server)
        });
        // Both kernels and the buffer between them fill up.
        let mut copy = copy;
        let blocked = tokio::time::timeout(Duration::from_millis(500), &mut copy);
        assert!(blocked.await.is_err());
        match reset {
            false => client.finish(),
            true => client.try_clone().unwrap().reset(),
        }
        if reset {
            drop(client);
        }
        let (copied, a, b) = soon("the copy", copy).await.unwrap();
        let expected = match reset {
            false => CloseReason::PeerClosed,
            true => CloseReason::Reset,
        };
        assert_eq!(copied.a.reason, Some(expected));
        assert_eq!(copied.b.reason, None);
        assert!(copied.b.transfer.read >= copied.a.transfer.accepted);
        drop((a, b));
        let (error, _server) = flood.join().unwrap();
        assert!(matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ));
    }
}

/// The server leaves while the copy waits for input of the silent client.
#[tokio::test]
async fn the_second_streams_hang_up_ends_it_too() {
    let (copy, client, mut server) = copy(&MonitorConfig::new());
    server.write_all(b"bye").unwrap();
    server.finish();
    let (copied, _a, _b) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
    assert_eq!(copied.a.reason, None);
    assert_eq!(take_all(client).await.unwrap(), b"bye");
}

#[tokio::test]
async fn a_half_close_is_passed_on_and_answered() {
    let (copy, mut client, mut server) = copy(&allowed());
    client.write_all(&[1; 100_000]).unwrap();
    client.finish();
    let asked = take_all(server.try_clone().unwrap()).await.unwrap();
    assert_eq!(asked, [1; 100_000]);
    server.write_all(&[2; 200_000]).unwrap();
    drop(server);
    let answer = take_all(client).await.unwrap();
    assert_eq!(answer, [2; 200_000]);
    let (copied, ..) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.a.reason, Some(CloseReason::Finished));
    assert_eq!(copied.b.reason, Some(CloseReason::Finished));
    assert_eq!(copied.a.transfer.read, 100_000);
    assert_eq!(copied.a.transfer.accepted, 200_000);
}

/// A reset ends both directions under this policy too.
#[tokio::test]
async fn a_reset_after_a_half_close_ends_it() {
    let (copy, client, server) = copy(&allowed());
    client.finish();
    let rest = take_all(server.try_clone().unwrap()).await.unwrap();
    assert!(rest.is_empty());
    client.reset();
    // The reset tells by itself: the server is silent.
    let (copied, ..) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.a.reason, Some(CloseReason::Reset));
    drop(server);
}

/// What had arrived from a client that left waits for a server that does not read, until its policy says
/// that this is enough.
#[tokio::test]
async fn a_stalled_receiver_is_bounded_by_its_policy() {
    let policy = StallPolicy::new(1, Duration::from_millis(500));
    let (copy, mut client, _server) = copy(&MonitorConfig::new().stall(policy));
    client
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let flood = thread::spawn(move || while client.write_all(&[7; 65536]).is_ok() {});
    let (copied, ..) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.b.reason, Some(CloseReason::Stalled));
    assert!(copied.a.transfer.read > copied.b.transfer.accepted);
    flood.join().unwrap();
}

/// Numbers that no part of can be taken for another one.
fn bytes(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_be_bytes).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_data_is_intact_both_ways() {
    let (asked, answer) = (bytes(4_000_000), bytes(5_000_000));
    let (copy, client, server) = copy(&allowed());
    let peers: Vec<_> = [(client, asked.clone()), (server, answer.clone())]
        .into_iter()
        .map(|(peer, sent)| {
            let mut writer = peer.try_clone().unwrap();
            thread::spawn(move || {
                writer.write_all(&sent).unwrap();
                writer.finish();
            });
            take_all(peer)
        })
        .collect();
    let mut peers = peers.into_iter();
    let (client, server) = tokio::join!(peers.next().unwrap(), peers.next().unwrap());
    assert!(client.unwrap() == answer);
    assert!(server.unwrap() == asked);
    let (copied, ..) = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.a.transfer.read, asked.len() as u64);
    assert_eq!(copied.b.transfer.read, answer.len() as u64);
    assert_eq!(copied.a.transfer.accepted, answer.len() as u64);
    assert_eq!(copied.b.transfer.accepted, asked.len() as u64);
}

/// Buffers of one byte, and two kinds of streams.
#[cfg(unix)]
#[tokio::test]
async fn sizes_and_kinds_may_differ() {
    let (a, mut client) = Tcp4::pair();
    let (b, mut server) = crate::support::Unix::pair();
    let mut a = MonitoredStream::with_config(a, &allowed()).unwrap();
    let mut b = MonitoredStream::with_config(b, &allowed()).unwrap();
    client.write_all(&bytes(30)).unwrap();
    client.finish();
    server.write_all(&bytes(20)).unwrap();
    server.finish();
    let copied = soon(
        "the copy",
        hangup::copy_bidirectional_with_sizes(&mut a, &mut b, 1, 3),
    );
    let copied = copied.await;
    let mut received = Vec::new();
    server.read_to_end(&mut received).unwrap();
    assert_eq!(received, bytes(30));
    received.clear();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, bytes(20));
    assert_eq!(copied.a.reason, Some(CloseReason::Finished));
    assert_eq!(copied.b.reason, Some(CloseReason::Finished));
}

/// A writer that keeps bytes back until it is flushed, such as TLS: what there is is not held back when
/// the input pauses.
#[tokio::test]
async fn what_was_copied_is_flushed_when_the_input_pauses() {
    let (a, mut asker) = tokio::io::duplex(64);
    let (b, mut answerer) = tokio::io::duplex(64);
    let mut a = MonitoredStream::unwatched(a);
    let mut b = MonitoredStream::unwatched(tokio::io::BufWriter::new(tokio::io::BufReader::new(b)));
    let copy = tokio::spawn(async move { copy_bidirectional(&mut a, &mut b).await });
    asker.write_all(b"?").await.unwrap();
    assert_eq!(soon("the byte", answerer.read_u8()).await.unwrap(), b'?');
    drop(answerer);
    let copied = soon("the copy", copy).await.unwrap();
    assert_eq!(copied.b.reason, Some(CloseReason::PeerClosed));
}

/// A write meets the end of the server's connection before the watcher does: what the server sent before it
/// is still delivered to the client.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_in_front_of_a_broken_pipe_is_delivered() {
    for unread in [true, false] {
        let ((a, mut client), (b, mut server)) = (Tcp4::pair(), Tcp4::pair());
        let mut a = MonitoredStream::new(a).unwrap();
        let mut b = MonitoredStream::new(b).unwrap();
        b.get_ref().writable().await.unwrap();
        client.write_all(b"part two").unwrap();
        if unread {
            // The close with this unread is a reset.
            b.write_all(b"part one").await.unwrap();
        }
        server.write_all(&[7; 10_000]).unwrap();
        drop(server);
        // The runtime has no turn until the copy begins: its first write is the first to know.
        if !unread {
            until(&b, PollFlags::RDHUP);
            b.get_ref().try_write(b"x").unwrap();
        }
        until(&b, PollFlags::HUP);
        let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
        assert!(copied.b.reason.is_some());
        let taking = take(client, 10_000);
        let (_client, taken) = taking.await;
        assert_eq!(taken, [7; 10_000]);
        drop((a, b));
    }
}

/// After a reset of the server the client gets all that the server had sent, and then the reset.
#[tokio::test]
async fn a_reset_is_passed_on_behind_what_had_arrived() {
    if lacks(
        "reset_of_reads",
        "a_reset_is_passed_on_behind_what_had_arrived",
    ) {
        return;
    }
    const ANSWER: usize = 5 << 20;
    let ((a, client), (b, mut server)) = (Tcp4::pair(), Tcp4::pair());
    let mut a = MonitoredStream::new(a).unwrap();
    let mut b = MonitoredStream::new(b).unwrap();
    let answered = b.monitor();
    let relay = tokio::spawn(async move {
        let copied = copy_bidirectional(&mut a, &mut b).await;
        let delivered = a.reset_after_delivery(DEADLINE).await;
        (copied, delivered)
    });
    let answering = thread::spawn(move || {
        server.write_all(&vec![7; ANSWER]).unwrap();
        // The reset throws away what has not arrived at the relay.
        while answered.transfer().read < ANSWER as u64 {
            thread::yield_now();
        }
        server.reset();
    });
    let reading = thread::spawn(move || {
        let (mut client, mut taken, mut buffer) = (client, 0, vec![0; 16384]);
        let (_keep, pace) = std::sync::mpsc::channel::<()>();
        loop {
            match client.read(&mut buffer) {
                Ok(bytes) => taken += bytes,
                Err(error) => return (taken, error.kind()),
            }
            // Slower than the relay: something is always on its way.
            let _ = pace.recv_timeout(Duration::from_micros(500));
        }
    });
    let (copied, delivered) = soon("the relay", relay).await.unwrap();
    answering.join().unwrap();
    assert_eq!(copied.b.reason, Some(CloseReason::Reset));
    assert_eq!(delivered.unwrap().accepted, ANSWER as u64);
    let reading = tokio::task::spawn_blocking(move || reading.join().unwrap());
    let ended = soon("the client", reading).await.unwrap();
    assert_eq!(ended, (ANSWER, ErrorKind::ConnectionReset));
}

/// Relays dropped their streams at the end of a copy. After a reset that is a FIN, and a message that was cut looked
/// complete.
#[tokio::test]
async fn the_other_peer_sees_the_same_end() {
    // The peer stays open, so only its acknowledgements show that it has everything.
    if lacks("acknowledged", "the_other_peer_sees_the_same_end") {
        return;
    }
    for reset in [false, true] {
        // Each of the two may be the one that leaves.
        for server_leaves in [false, true] {
            let (relay, client, server) = copy(&MonitorConfig::new());
            let (mut leaves, stays) = match server_leaves {
                true => (server, client),
                false => (client, server),
            };
            leaves.write_all(b"a part").unwrap();
            let (stays, taken) = take(stays, 6).await;
            assert_eq!(taken, b"a part");
            match reset {
                true => leaves.reset(),
                false => drop(leaves),
            }
            let (copied, mut a, mut b) = soon("the copy", relay).await.unwrap();
            let passed = copied.pass_on(&mut a, &mut b, DEADLINE);
            soon("the end", passed).await.unwrap();
            drop((a, b));
            let ended = take_all(stays).await.map_err(|error| error.kind());
            let expected = match reset {
                true => Err(ErrorKind::ConnectionReset),
                false => Ok(Vec::new()),
            };
            assert_eq!(ended, expected, "the server leaves: {server_leaves}");
        }
    }
}

/// Both streams are over, and there is nobody to tell.
#[tokio::test]
async fn an_end_of_both_is_not_passed_on() {
    let (relay, mut client, mut server) = copy(&allowed());
    client.shutdown(std::net::Shutdown::Write).unwrap();
    server.write_all(b"answer").unwrap();
    server.shutdown(std::net::Shutdown::Write).unwrap();
    let (copied, mut a, mut b) = soon("the copy", relay).await.unwrap();
    assert!(copied.a.reason.is_some() && copied.b.reason.is_some());
    let passed = copied.pass_on(&mut a, &mut b, Duration::ZERO);
    soon("the end", passed).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

/// Without an acknowledgement the reset comes when the time is over.
#[tokio::test]
async fn a_reset_does_not_wait_for_a_peer_that_does_not_read() {
    if lacks(
        "acknowledged",
        "a_reset_does_not_wait_for_a_peer_that_does_not_read",
    ) {
        return;
    }
    let (ours, mut peer) = Tcp4::pair();
    let mut ours = MonitoredStream::new(ours).unwrap();
    let filling = tokio::time::timeout(Duration::from_millis(200), ours.write_all(&[0; 64 << 20]));
    filling.await.unwrap_err();
    let error = ours.reset_after_delivery(Duration::from_millis(50)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(ours.close_reason(), Some(CloseReason::Aborted));
    let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// A write finds the reset of the server first, and the system tells an error once: the next read found the end of the input.
/// The copy took that for a FIN and shut the client's stream down, so a part of an answer looked like the whole of it.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn a_reset_that_a_write_has_found_is_no_fin() {
    let ((a, mut client), (b, mut server)) = (Tcp4::pair(), Tcp4::pair());
    let mut a = MonitoredStream::with_config(a, &allowed()).unwrap();
    let mut b = MonitoredStream::with_config(b, &allowed()).unwrap();
    client.write_all(b"the rest of a request").unwrap();
    soon("the request", a.readable()).await.unwrap();
    soon("room", b.writable()).await.unwrap();
    server.write_all(b"a part").unwrap();
    let mut part = [0; 6];
    soon("the answer", b.read_exact(&mut part)).await.unwrap();
    server.reset();
    until(&b, PollFlags::HUP);
    // The copy is polled before the watcher has its turn.
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b)).await;
    assert_eq!(copied.b.reason, Some(CloseReason::Reset));
    assert_eq!(copied.a.reason, None);
    let passed = copied.pass_on(&mut a, &mut b, DEADLINE);
    soon("the end", passed).await.unwrap();
    drop((a, b));
    let ended = take_all(client).await.map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset));
}

/// The client has sent all of its request and finished, and vanishes while the server is slow. The request is complete all the
/// same: the server gets a FIN.
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
#[tokio::test]
async fn a_reset_after_a_fin_ends_a_complete_input() {
    let ((a, mut client), (b, mut server)) = (Tcp4::pair(), Tcp4::pair());
    let mut a = MonitoredStream::with_config(a, &allowed()).unwrap();
    let mut b = MonitoredStream::with_config(b, &allowed()).unwrap();
    let monitor = a.monitor();
    client.write_all(b"a request").unwrap();
    client.finish();
    let mut statuses = monitor.subscribe();
    let finished = |status: &hangup::Status| *status == hangup::Status::PeerFinished;
    drop(soon("the FIN", statuses.wait_for(finished)).await.unwrap());
    // An answer that the client does not take, so that its close is a reset.
    soon("an answer", a.write_all(b"early")).await.unwrap();
    until(&client, PollFlags::IN);
    drop(client);
    let reason = soon("the reset", monitor.closed()).await;
    assert_eq!(reason, CloseReason::Reset);
    let copied = soon("the copy", copy_bidirectional(&mut a, &mut b));
    let (mut request, copied) = tokio::join!(
        tokio::task::spawn_blocking(move || {
            let mut request = Vec::new();
            server.read_to_end(&mut request).map(|_| request)
        }),
        copied
    );
    assert_eq!(copied.a.reason, Some(CloseReason::Reset));
    assert_eq!(request.as_mut().unwrap().as_mut().unwrap(), b"a request");
}
