//! Descriptors other than TCP and Unix sockets: MPTCP, pipes, FIFOs, the standard streams of a child.
//!
//! `TCP_INFO` of an MPTCP socket is that of its first subflow, so its close was never reported. A pipe has no
//! `SO_ERROR`, so its end was never reported either.

use crate::support::{DEADLINE, reason, soon};
use hangup::{
    CloseReason, HalfClose, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy, Status,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

const MPTCP: i32 = 262;

/// Two ends of a connection whose first bytes have gone, or a word that this kernel has no MPTCP.
async fn mptcp() -> Option<(TcpStream, std::net::TcpStream)> {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(MPTCP)));
    let Ok(listener) = socket() else {
        println!("skipped: this kernel has no MPTCP");
        return None;
    };
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(1).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener.into()).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = tokio::task::spawn_blocking(move || {
        let peer = socket().unwrap();
        peer.connect(&address.into()).unwrap();
        std::net::TcpStream::from(peer)
    });
    let (mut ours, _) = soon("the connection", listener.accept()).await.unwrap();
    let mut peer = connecting.await.unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    // MPTCP is fully established after some data.
    peer.write_all(b"hi").unwrap();
    soon("the first bytes", ours.read_exact(&mut [0; 2]))
        .await
        .unwrap();
    Some((ours, peer))
}

fn allow() -> MonitorConfig {
    MonitorConfig::new().half_close(HalfClose::Allow)
}

#[tokio::test]
async fn mptcp_close() {
    let Some((ours, peer)) = mptcp().await else {
        return;
    };
    let stream = MonitoredStream::new(ours).unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

/// A listener is asked once for the kind of all its connections.
#[tokio::test]
async fn mptcp_of_a_listener() {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(MPTCP)));
    let Ok(listener) = socket() else {
        println!("skipped: this kernel has no MPTCP");
        return;
    };
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(8).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener.into()).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = MonitoredListener::from_listener(listener);
    for round in 0..4 {
        let connecting = tokio::task::spawn_blocking(move || {
            if round % 2 == 0 {
                let peer = socket().unwrap();
                peer.connect(&address.into()).unwrap();
                std::net::TcpStream::from(peer)
            } else {
                // Without the option of MPTCP the connection falls back to TCP.
                std::net::TcpStream::connect(address).unwrap()
            }
        });
        let (mut stream, _) = soon("the connection", listener.accept()).await.unwrap();
        let mut peer = connecting.await.unwrap();
        peer.write_all(b"hi").unwrap();
        let mut first = [0; 2];
        let read = stream.read_exact(&mut first);
        soon("the first bytes", read).await.unwrap();
        drop(peer);
        assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    }
}

#[tokio::test]
async fn mptcp_close_behind_unread_data_by_probe() {
    let Some((ours, mut peer)) = mptcp().await else {
        return;
    };
    let stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    peer.write_all(b"unread").unwrap();
    drop(peer);
    // The FIN may still be on its way.
    let asked = tokio::task::spawn_blocking(move || {
        let begun = std::time::Instant::now();
        while !monitor.probe().is_closed() && begun.elapsed() < DEADLINE {
            std::thread::yield_now();
        }
        monitor.close_reason()
    });
    assert_eq!(asked.await.unwrap(), Some(CloseReason::PeerClosed));
    drop(stream);
}

#[tokio::test]
async fn mptcp_half_close_and_answer() {
    let Some((ours, mut peer)) = mptcp().await else {
        return;
    };
    let mut stream = MonitoredStream::with_config(ours, &allow()).unwrap();
    SockRef::from(&peer)
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    let mut status = stream.monitor().subscribe();
    let finished = status.wait_for(|status| *status == Status::PeerFinished);
    drop(soon("the FIN", finished).await.unwrap());
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
}

#[tokio::test]
async fn mptcp_orderly_end() {
    let Some((ours, peer)) = mptcp().await else {
        return;
    };
    let mut stream = MonitoredStream::new(ours).unwrap();
    stream.shutdown().await.unwrap();
    drop(peer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
}

#[tokio::test]
async fn mptcp_blocked_writer_is_woken() {
    let Some((ours, peer)) = mptcp().await else {
        return;
    };
    let mut stream = MonitoredStream::new(ours).unwrap();
    let monitor = stream.monitor();
    let writer = tokio::spawn(async move {
        loop {
            if let Err(error) = stream.write_all(&[0; 65536]).await {
                return error;
            }
        }
    });
    // The send buffer fills up.
    let mut accepted = 0;
    while monitor.accepted() == 0 || monitor.accepted() > accepted {
        accepted = monitor.accepted();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(peer);
    soon("the writer", writer).await.unwrap();
    let reason = monitor.close_reason().unwrap();
    assert!(
        matches!(reason, CloseReason::PeerClosed | CloseReason::Reset),
        "{reason}"
    );
}

/// `TCP_USER_TIMEOUT` is refused for MPTCP; keepalive is set.
#[tokio::test]
async fn mptcp_dead_peer_timeout() {
    let Some((ours, _peer)) = mptcp().await else {
        return;
    };
    let config = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(60));
    let stream = MonitoredStream::with_config(ours, &config).unwrap();
    assert!(SockRef::from(stream.get_ref()).keepalive().unwrap());
}

/// A reader that takes everything at its own pace stays.
#[tokio::test]
async fn mptcp_stall_policy_spares_a_reader() {
    let Some((ours, mut peer)) = mptcp().await else {
        return;
    };
    let window = Duration::from_secs(1);
    let config = MonitorConfig::new().stall(StallPolicy::new(1024, window));
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let reading = std::thread::spawn(move || {
        let (mut read, mut room) = (0, vec![0; 256 * 1024]);
        loop {
            match peer.read(&mut room).unwrap() {
                0 => return read,
                bytes => read += bytes,
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    let data = vec![0; 16 * 1024 * 1024];
    soon("the data", stream.write_all(&data)).await.unwrap();
    stream.shutdown().await.unwrap();
    let read = tokio::task::spawn_blocking(|| reading.join().unwrap());
    assert_eq!(read.await.unwrap(), data.len());
}

#[tokio::test]
async fn mptcp_abort_resets() {
    let Some((ours, mut peer)) = mptcp().await else {
        return;
    };
    let stream = MonitoredStream::new(ours).unwrap();
    stream.abort();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::Aborted);
    drop(stream);
    let read = tokio::task::spawn_blocking(move || peer.read(&mut [0]));
    match read.await.unwrap() {
        // A kernel may answer with a FIN of all subflows instead.
        Ok(bytes) => assert_eq!(bytes, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn a_pipes_last_reader_leaves() {
    let (writer, reader) = pipe::pipe().unwrap();
    let mut stream = MonitoredStream::new(writer).unwrap();
    stream.write_all(b"12345").await.unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    assert_eq!(stream.monitor().transfer().acknowledged, Some(0));
    drop(reader);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    let error = stream.write_all(b"x").await.unwrap_err();
    assert_eq!(
        CloseReason::carried_by(&error),
        Some(&CloseReason::PeerClosed)
    );
}

#[tokio::test]
async fn a_pipe_tells_what_was_taken() {
    let (writer, mut reader) = pipe::pipe().unwrap();
    let mut stream = MonitoredStream::new(writer).unwrap();
    stream.write_all(b"12345").await.unwrap();
    reader.read_exact(&mut [0; 3]).await.unwrap();
    assert_eq!(stream.monitor().transfer().acknowledged, Some(3));
    drop(reader);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    drop(stream);
}

#[tokio::test]
async fn a_pipes_blocked_writer_is_woken() {
    let (writer, reader) = pipe::pipe().unwrap();
    let mut stream = MonitoredStream::new(writer).unwrap();
    let monitor = stream.monitor();
    let writing = tokio::spawn(async move { stream.write_all(&vec![0; 1024 * 1024]).await });
    while monitor.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    drop(reader);
    let error = soon("the writer", writing).await.unwrap().unwrap_err();
    assert_eq!(CloseReason::from(&error), CloseReason::PeerClosed);
}

#[tokio::test]
async fn a_pipes_last_writer_leaves() {
    let (mut writer, reader) = pipe::pipe().unwrap();
    let mut stream = MonitoredStream::new(reader).unwrap();
    writer.write_all(b"unread").await.unwrap();
    assert_eq!(stream.monitor().probe(), Status::Open);
    drop(writer);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    let mut unread = String::new();
    stream.read_to_string(&mut unread).await.unwrap();
    assert_eq!(unread, "unread");
}

/// A write-only stream with a configuration: the reader of a pipe is there and takes nothing.
#[tokio::test]
async fn a_pipes_reader_stalls() {
    let (writer, _reader) = pipe::pipe().unwrap();
    let config = MonitorConfig::new().stall(StallPolicy::new(1, Duration::from_secs(1)));
    let mut stream = MonitoredStream::write_only(writer, &config).unwrap();
    let error = soon("the stall", stream.write_all(&vec![0; 1024 * 1024])).await;
    assert_eq!(CloseReason::from(&error.unwrap_err()), CloseReason::Stalled);
}

#[tokio::test]
async fn a_write_only_stream_cannot_read_ahead() {
    for config in [
        MonitorConfig::new().read_ahead(1024),
        MonitorConfig::new().fin_delay(Duration::from_millis(3)),
    ] {
        let (writer, _reader) = pipe::pipe().unwrap();
        let error = MonitoredStream::write_only(writer, &config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("write_only"), "{error}");
    }
}

#[tokio::test]
async fn a_fifo() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let writer = pipe::OpenOptions::new().open_sender(&path).unwrap();
    let stream = MonitoredStream::new(writer).unwrap();
    drop(reader);
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn a_child_closes_its_standard_input() {
    let mut child = Command::new("sh")
        .args(["-c", "exec 0<&-; exec sleep 60"])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stream = MonitoredStream::new(child.stdin.take().unwrap()).unwrap();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn a_child_closes_its_standard_output() {
    let mut child = Command::new("sh")
        .args(["-c", "echo out; exec 1>&-; exec sleep 60"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stream = MonitoredStream::new(child.stdout.take().unwrap()).unwrap();
    assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    let mut out = String::new();
    stream.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "out\n");
}

/// Timers make no sense for a pipe or a Unix socket: the option leaves them alone.
#[tokio::test]
async fn dead_peer_timeout_of_a_pipe() {
    let (writer, _reader) = pipe::pipe().unwrap();
    let config = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(60));
    let stream = MonitoredStream::write_only(writer, &config).unwrap();
    assert!(!stream.is_closed());
}
