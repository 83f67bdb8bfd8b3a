//! The proxy itself: what was acknowledged in the peer's name reaches the peer, or does not.

use crate::cuts::Plan;
use crate::cutting::Manners;
use crate::proxy::Proxy;
use hangup::MonitoredStream;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const CUTS: u64 = 60;
const DEADLINE: Duration = Duration::from_secs(30);

/// Writes as much as it can through each of the cuts. Returns how many connections had more acknowledged
/// than the peer has read, and asserts that nothing was damaged.
async fn short_connections(manners: Manners) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan::new(3, CUTS, 2_000_000, Duration::from_millis(20));
    let proxy = Proxy::bind(listener.local_addr().unwrap(), plan, manners)
        .await
        .unwrap();
    let address = proxy.address().unwrap();
    let tally = proxy.tally();
    let proxy = tokio::spawn(proxy.run(|error| panic!("{error}")));
    let mut short = 0;
    for _ in 0..CUTS {
        let sender = TcpStream::connect(address).await;
        let reading = async {
            let mut peer = listener.accept().await.unwrap().0;
            let (mut read, mut buffer) = (0, Vec::with_capacity(65536));
            while peer.read_buf(&mut buffer).await.is_ok_and(|more| more > 0) {
                assert!(buffer.iter().all(|byte| *byte == b'x'));
                read += buffer.len() as u64;
                buffer.clear();
            }
            read
        };
        let writing = async {
            // It may have been cut by now.
            let Ok(sender) = sender else { return 0 };
            let mut sender = MonitoredStream::new(sender).unwrap();
            while sender.write_all(&[b'x'; 30_000]).await.is_ok() {}
            let monitor = sender.monitor();
            drop(sender);
            monitor.transfer().acknowledged.unwrap()
        };
        let both = async { tokio::join!(reading, writing) };
        let (read, acknowledged) = timeout(DEADLINE, both).await.unwrap();
        short += u64::from(read < acknowledged);
    }
    assert_eq!(tally.all(), CUTS);
    proxy.abort();
    short
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gentle_proxy_delivers_what_was_acknowledged() {
    assert_eq!(short_connections(Manners::Gentle).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rude_proxy_does_not() {
    assert_ne!(short_connections(Manners::Rude).await, 0);
}
