//! The stall policy in a server full of stalled clients.
//!
//! Alone in its program: it measures the memory of all TCP sockets of the machine, and has more than a thousand
//! of them open.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use hangup::{CloseReason, MonitorConfig, MonitoredListener, StallPolicy};
use socket2::SockRef;
use std::process::Command;
use std::time::Duration;
use support::{DEADLINE, pour, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The memory of all TCP sockets here, in bytes.
fn tcp_memory() -> i64 {
    let told = std::fs::read_to_string("/proc/net/sockstat").unwrap();
    let tcp = told.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let pages: i64 = tcp.split(" mem ").nth(1).unwrap().parse().unwrap();
    let page = Command::new("getconf").arg("PAGESIZE").output().unwrap();
    let page: i64 = String::from_utf8(page.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    pages * page
}

const STALLED: usize = 500;
const HEALTHY: usize = 50;
/// What a healthy client reads in a second, and for how many.
const RATE: usize = 64 * 1024;
const SECONDS: usize = 8;

fn raise_the_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// A hundred clients of a server read two chunks and stopped. They pinned their sockets, and the kernel's
/// memory under them, past every time limit of that server, and cost their owner one byte each. Here are
/// five hundred, and fifty that are only slow.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clients_read_two_chunks_and_stop() {
    raise_the_descriptor_limit();
    // A client's kernel tells of new room in lumps of half its buffer: a healthy one needs time for some.
    let window = Duration::from_secs(4);
    let config = MonitorConfig::new()
        .stall(StallPolicy::new(16 * 1024, window))
        .reset_on_stall(true);
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let listener = listener.config(config);
    let address = listener.local_addr().unwrap();
    let before = tcp_memory();

    // The first byte of a client says what it is. A stalled one's stream is kept: what frees the memory
    // is the reset, not the close.
    let server = tokio::spawn(async move {
        let mut handlers = tokio::task::JoinSet::new();
        for _ in 0..STALLED + HEALTHY {
            let (mut stream, address) = soon("a client", listener.accept()).await.unwrap();
            handlers.spawn(async move {
                SockRef::from(&stream)
                    .set_send_buffer_size(128 * 1024)
                    .unwrap();
                if stream.read_u8().await.unwrap() == b's' {
                    let reason = soon("the stall", pour(&mut stream)).await;
                    return (Some((address, Instant::now())), reason, stream);
                }
                let all = vec![b'x'; SECONDS * RATE];
                soon("a healthy client", stream.write_all(&all))
                    .await
                    .unwrap();
                stream.shutdown().await.unwrap();
                let reason = soon("its end", stream.closed()).await;
                (None, reason, stream)
            });
        }
        let (mut stalled, mut healthy) = (Vec::new(), 0);
        let mut freed = None;
        while let Some(ended) = handlers.join_next().await {
            let (when, reason, stream) = ended.unwrap();
            match when {
                Some((address, when)) => {
                    assert_eq!(reason, CloseReason::Stalled);
                    stalled.push((address, when, stream));
                    if stalled.len() == STALLED {
                        freed = Some(tcp_memory());
                        assert_eq!(healthy, 0, "they are not done before");
                    }
                }
                None => {
                    assert_eq!(reason, CloseReason::Finished);
                    healthy += 1;
                }
            }
        }
        assert_eq!(healthy, HEALTHY);
        (stalled, freed.unwrap())
    });

    let healthy: Vec<_> = (0..HEALTHY)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"h").await.unwrap();
                let mut second = tokio::time::interval(Duration::from_secs(1));
                let mut buffer = vec![0; RATE];
                for _ in 0..SECONDS {
                    second.tick().await;
                    soon("a second's bytes", client.read_exact(&mut buffer))
                        .await
                        .unwrap();
                    assert!(buffer.iter().all(|byte| *byte == b'x'));
                }
                assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
            })
        })
        .collect();
    let mut clients = Vec::new();
    for _ in 0..STALLED {
        clients.push(tokio::spawn(async move {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(16 * 1024).unwrap();
            let mut client = socket.connect(address).await.unwrap();
            client.write_all(b"s").await.unwrap();
            let mut chunks = [0; 2 * 8192];
            soon("two chunks", client.read_exact(&mut chunks))
                .await
                .unwrap();
            (client, Instant::now())
        }));
    }
    let mut stopped = std::collections::HashMap::new();
    for client in clients {
        let (client, when) = client.await.unwrap();
        stopped.insert(client.local_addr().unwrap(), (client, when));
    }
    let all_stopped = Instant::now();
    tokio::time::sleep_until(all_stopped + window / 2).await;
    let during = tcp_memory();

    let (stalled, after) = soon("the server", server).await.unwrap();
    for client in healthy {
        client.await.unwrap();
    }
    let late = stalled
        .iter()
        .map(|(address, ended, _)| *ended - stopped[address].1);
    let latest = late.max().unwrap();
    let (held, still) = ((during - before) / 1024, (after - before) / 1024);
    println!(
        "{STALLED} stalled clients, window {window:?}: the last was ended {latest:?} after it stopped; \
     TCP memory before {} KiB, {held} KiB more while they stalled, {still} KiB more after",
        before / 1024
    );
    let bound = window + window / 10;
    assert!(latest < bound + Duration::from_secs(1), "{latest:?}");
    assert!(held > 100 * i64::try_from(STALLED).unwrap(), "{held} KiB");
    // What is left is the clients' own: their sockets are open still, with input that nobody reads.
    assert!(still < held / 2, "{still} of {held} KiB are still there");
    drop((stalled, stopped));
    assert!(all_stopped.elapsed() < DEADLINE);
}
