//! A stream that another library owns, with a timer that its owner has set.

use super::netns::Network;
use crate::support::{reason, soon};
use hangup::{CloseReason, WatchOnly};
use socket2::SockRef;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The handle cannot tell a timeout from a reset without the error, which is the owner's.
#[tokio::test]
async fn the_owner_reads_the_timeout() {
    let Some(network) = Network::new() else {
        return;
    };
    let (mut ours, _peer) = network.pair();
    let limit = Some(Duration::from_secs(1));
    SockRef::from(&ours).set_tcp_user_timeout(limit).unwrap();
    let watch = WatchOnly::new(&ours).unwrap();
    network.lose_packets();
    ours.write_all(b"lost").await.unwrap();
    assert_eq!(reason(&watch.monitor()).await, CloseReason::Reset);
    let error = soon("a read", ours.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
