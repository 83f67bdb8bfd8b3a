//! Bytes in bulk, layers, codecs, and the side buffer.

use crate::Case;
use crate::loopback::Loopback;
use crate::support::soon;
use futures::{SinkExt, StreamExt};
use hangup::{
    CloseReason, CopyOptions, MonitorConfig, UntilClosed, UntilClosedExt, copy_bidirectional,
    copy_bidirectional_with_sizes,
};
use heapdelta::{LeakError, LeakTest, Report, counted};
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Framed, LinesCodec};

pub(crate) const CASES: &[Case] = &[
    ("send_file", send_file),
    (
        "send_file_to_a_peer_that_leaves",
        send_file_to_a_peer_that_leaves,
    ),
    ("copy", copy),
    ("layer", layer),
    ("layer_that_fails", layer_that_fails),
    ("codec", codec),
    ("read_ahead", read_ahead),
];

fn send_file(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let file = File::open("Cargo.toml").unwrap();
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.open().await;
        let sent = stream.send_file(&file, ..).await.unwrap();
        drop(stream);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len() as u64, sent);
    })
}

fn send_file_to_a_peer_that_leaves(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let file = File::open("Cargo.toml").unwrap();
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, peer) = loopback.open().await;
        drop(peer);
        soon("the FIN", stream.closed()).await;
        stream.send_file(&file, ..).await.unwrap_err();
    })
}

/// Each way in each call: a thread keeps the last buffer, whose size is that of the last way.
fn copy(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let options = CopyOptions::new()
        .buffer_sizes(1024, 2048)
        .half_close_timeout(Duration::from_secs(60));
    test.run_async_with(Loopback::new, async |loopback| {
        for way in 0..3 {
            let (mut left, mut client) = loopback.open().await;
            let (mut right, mut server) = loopback.open().await;
            let relay = async {
                match way {
                    0 => options.copy(&mut left, &mut right).await,
                    1 => copy_bidirectional_with_sizes(&mut left, &mut right, 1024, 2048).await,
                    _ => copy_bidirectional(&mut left, &mut right).await,
                }
            };
            let ends = async {
                client.write_all(b"a request").await.unwrap();
                server.read_exact(&mut [0; 9]).await.unwrap();
                drop((client, server));
            };
            let (copied, ()) = soon("the relay", async { tokio::join!(relay, ends) }).await;
            let _ = copied
                .pass_on(&mut left, &mut right, Duration::from_secs(30))
                .await;
        }
    })
}

fn layer(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, peer) = loopback.open().await;
        let layered = stream.layer(|mut transport| async {
            transport.get_mut().set_nodelay(true)?;
            transport.get_ref().nodelay()?;
            Ok(transport)
        });
        let stream = layered.await.unwrap();
        drop(peer);
        soon("the FIN", stream.closed()).await
    })
}

fn layer_that_fails(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, _peer) = loopback.open().await;
        let failed =
            stream.layer::<tokio::io::Empty, _>(|_| async { Err(io::Error::other("no greeting")) });
        failed.await.unwrap_err()
    })
}

fn codec(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, peer) = loopback.open().await;
        let monitor = stream.monitor();
        let mut lines = Framed::new(stream, LinesCodec::new()).until_closed(&monitor);
        let mut peer = Framed::new(peer, LinesCodec::new());
        peer.send("hello").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "hello");
        lines.send("world".to_owned()).await.unwrap();
        assert_eq!(peer.next().await.unwrap().unwrap(), "world");
        lines.get_mut().codec_mut();
        Pin::new(&mut lines).get_pin_mut().get_ref();
        drop(peer);
        while lines.next().await.is_some() {}
        let _ = (lines.close_reason(), lines.get_ref());
        UntilClosed::new(lines.into_inner(), &monitor)
    })
}

const LARGE: usize = 1 << 18;

fn ahead() -> MonitorConfig {
    MonitorConfig::new().read_ahead(LARGE)
}

/// The peer sends, and leaves before we read.
fn read_ahead(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (mut stream, mut peer) = loopback.watched(&ahead()).await;
        peer.write_all(&[1; 5000]).await.unwrap();
        drop(peer);
        assert_eq!(
            soon("the FIN", stream.closed()).await,
            CloseReason::PeerClosed
        );
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
    })
}

/// The side buffer of a connection that stays open does not keep what it has grown to: with many idle
/// connections that would be a leak.
pub(crate) fn read_ahead_gives_back() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut stream, mut peer) = Loopback::new().await.watched(&ahead()).await;
        let bytes = || counted().expect("it is the allocator").bytes;
        let mut input = vec![0; LARGE];
        let before = bytes();
        let sender = tokio::spawn(async move {
            peer.write_all(&vec![1; LARGE]).await.unwrap();
            peer
        });
        // Writes move the input into the side buffer: it gets in their way.
        let moved = async {
            while bytes() < before + LARGE as u64 / 2 {
                stream.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        soon("the side buffer", moved).await;
        stream.read_exact(&mut input).await.unwrap();
        let _peer = sender.await.unwrap();
        let kept = bytes().saturating_sub(before);
        if kept > 1 << 16 {
            return Err(format!(
                "the side buffer keeps {kept} bytes after all is read"
            ));
        }
        Ok(())
    })
}
