//! `send_file`: what arrives, what is refused, and who is told when the peer leaves in the middle.
//!
//! The numbers in comments are those of the invariants in `docs/architecture.md`.

#![cfg(unix)]

use crate::support::{Pair, Peer, Tcp4, reason, soon, watched};
use hangup::{CloseReason, Monitor, MonitorConfig, MonitoredStream, StallPolicy};
use rustix::event::epoll::{self, CreateFlags};
use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;
use tokio_test::assert_pending;
use tokio_test::task::{self, Spawn};

/// A file without a name, with bytes that tell their place.
fn file(length: u32) -> File {
    let bytes: Vec<u8> = (0..length).map(byte).collect();
    let mut file = empty();
    file.write_all(&bytes).unwrap();
    file
}

fn empty() -> File {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("hangup-send-file-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn byte(place: u32) -> u8 {
    (place.wrapping_mul(0x9E37_79B9) >> 24) as u8
}

/// A file that is larger than what the kernel takes of it while nobody reads.
fn large() -> File {
    let file = empty();
    file.set_len(1 << 30).unwrap();
    file
}

/// Polls until some was sent, and no more is.
async fn blocked<F: Future<Output: Debug>>(monitor: &Monitor, sending: &mut Spawn<F>) {
    soon("a full socket", async {
        let (mut accepted, mut quiet) = (0, 0);
        while quiet < 100 {
            tokio::task::yield_now().await;
            assert_pending!(sending.poll());
            let now = monitor.transfer().accepted;
            quiet = match now > 0 && now == accepted {
                true => quiet + 1,
                false => 0,
            };
            accepted = now;
        }
    })
    .await;
}

#[tokio::test]
async fn the_range_arrives() {
    const LENGTH: u32 = 5_000_000;
    let mut file = file(LENGTH);
    file.seek(SeekFrom::Start(77)).unwrap();
    for (range, expected) in [
        ((Bound::Unbounded, Bound::Unbounded), 0..LENGTH),
        ((Bound::Included(0), Bound::Excluded(0)), 0..0),
        (
            (Bound::Included(4_999_999), Bound::Unbounded),
            4_999_999..LENGTH,
        ),
        ((Bound::Included(5_000_000), Bound::Unbounded), 0..0),
        (
            (Bound::Excluded(2), Bound::Included(3_000_000)),
            3..3_000_001,
        ),
    ] {
        let (mut stream, mut peer) = watched::<Tcp4>();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let sent = soon("the range", stream.send_file(&file, range))
            .await
            .unwrap();
        assert_eq!(sent, u64::from(expected.end - expected.start));
        assert_eq!(stream.monitor().transfer().accepted, sent);
        drop(stream);
        let all = reader.join().unwrap();
        assert!(all.iter().copied().eq(expected.map(byte)), "{range:?}");
    }
    // The file's own position is nobody's business.
    assert_eq!(file.stream_position().unwrap(), 77);
}

/// A device has no length; what the range asks for is what counts.
#[tokio::test]
async fn a_device_may_be_sent() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let device = File::open("/dev/zero").unwrap();
    let mut expected = vec![0; 1_000_000];
    let sent = soon("the zeros", stream.send_file(&device, ..1_000_000)).await;
    assert_eq!(sent.unwrap(), 1_000_000);
    stream.send_file(&file(3), ..).await.unwrap();
    expected.extend((0..3).map(byte));
    drop(stream);
    assert_eq!(reader.join().unwrap(), expected);
}

#[tokio::test]
async fn a_bad_range_or_file_is_said_and_the_stream_stays_open() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let file = file(10);
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 7..3;
    let error = stream.send_file(&file, reversed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "hangup: the range 7..3 ends before it starts"
    );

    let error = stream.send_file(&file, 11..).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let error = stream.send_file(&file, 4..11).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(
        error.to_string(),
        "hangup: the file ends at 10, before the end of the range 4..11"
    );
    let error = stream.send_file(&file, ..=u64::MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    // Not readable, a directory, and no file at all.
    let deaf = File::options().write(true).open("/dev/null").unwrap();
    let error = soon("the error", stream.send_file(&deaf, ..1))
        .await
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    let directory = File::open("/").unwrap();
    soon("the error", stream.send_file(&directory, ..1))
        .await
        .unwrap_err();
    for path in ["/", "/proc/self/task"] {
        // Some directories have a length of zero.
        let directory = File::open(path).unwrap();
        let error = soon("the error", stream.send_file(&directory, ..)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::IsADirectory, "{path}");
    }
    let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
    let error = soon("the error", stream.send_file(&epoll, ..)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    let endless = File::open("/dev/zero").unwrap();
    let error = soon("the error", stream.send_file(&endless, ..)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("give the range an end"),
        "{error}"
    );
    let (pipe, _writer) = std::io::pipe().unwrap();
    let error = soon("the error", stream.send_file(&OwnedFd::from(pipe), ..1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = soon("the error", stream.send_file(&socket, ..1)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);

    // Nothing was sent, and all is well.
    assert_eq!(stream.monitor().transfer().accepted, 0);
    assert!(!stream.is_closed());
    assert_eq!(stream.send_file(&file, 9..).await.unwrap(), 1);
    let mut received = [0];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(received, [byte(9)]);
}

/// A file that is cut while it is sent: what is there is sent, and the end is said.
#[tokio::test]
async fn a_file_that_shrinks_is_said() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let file = large();
    let mut sending = task::spawn(stream.send_file(&file, ..));
    blocked(&monitor, &mut sending).await;
    file.set_len(0).unwrap();
    let reader = thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink()).unwrap());
    let error = soon("the error", sending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(monitor.close_reason(), None);
    drop(stream);
    assert_eq!(reader.join().unwrap(), monitor.transfer().accepted);
}

/// Invariant 6: it is blocked on a peer that does not read, and the peer leaves.
#[tokio::test]
async fn a_peer_that_leaves_ends_it_at_once() {
    for resets in [false, true] {
        let (mut stream, peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let file = large();
        let mut sending = task::spawn(stream.send_file(&file, ..));
        blocked(&monitor, &mut sending).await;
        let expected = match resets {
            true => {
                peer.reset();
                CloseReason::Reset
            }
            false => {
                peer.finish();
                CloseReason::PeerClosed
            }
        };
        let error = soon("the refusal", sending).await.unwrap_err();
        assert_eq!(CloseReason::from(&error), expected);
        assert_eq!(reason(&monitor).await, expected);
        let accepted = monitor.transfer().accepted;
        assert!(accepted > 0 && accepted < 1 << 30);
        let error = stream.send_file(&file, ..).await.unwrap_err();
        assert_eq!(CloseReason::carried_by(&error), Some(&expected));
        assert_eq!(monitor.transfer().accepted, accepted);
    }
}

/// The stall policy judges it as it judges a write.
#[tokio::test]
async fn a_peer_that_stalls_ends_it() {
    let (ours, peer) = Tcp4::pair();
    let policy = StallPolicy::new(1, Duration::from_secs(1));
    let config = MonitorConfig::new().stall(policy);
    let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
    let error = soon("the verdict", stream.send_file(&large(), ..))
        .await
        .unwrap_err();
    assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Stalled));
    drop(peer);
}

/// `transfer` tells how far a future came that was dropped in the middle.
#[tokio::test]
async fn a_dropped_transfer_leaves_the_stream_usable() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let monitor = stream.monitor();
    let file = large();
    {
        let mut sending = task::spawn(stream.send_file(&file, ..));
        blocked(&monitor, &mut sending).await;
    }
    let accepted = monitor.transfer().accepted;
    let reader = thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink()).unwrap());
    soon(
        "the rest",
        stream.send_file(&file, accepted..accepted + 10_000_000),
    )
    .await
    .unwrap();
    drop(stream);
    assert_eq!(reader.join().unwrap(), accepted + 10_000_000);
}

/// `tokio::fs::File` does as well, and the future may be sent to another thread.
#[tokio::test]
async fn any_open_file_will_do() {
    let (mut stream, mut peer) = watched::<Tcp4>();
    let file = tokio::fs::File::from_std(file(100));
    let sender = tokio::spawn(async move {
        let sent = stream.send_file(&file, 90..).await;
        (sent, stream)
    });
    let (sent, stream) = soon("the range", sender).await.unwrap();
    assert_eq!(sent.unwrap(), 10);
    drop(stream);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert!(received.into_iter().eq((90..100).map(byte)));
}

/// Files of /proc and /sys report a length that is not theirs.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_are_made_when_they_are_read() {
    for path in ["/proc/version", "/proc/cpuinfo", "/sys/class/net/lo/mtu"] {
        let Ok(expected) = std::fs::read(path) else {
            println!("skipped: {path} is not here");
            continue;
        };
        let (mut stream, mut peer) = watched::<Tcp4>();
        let file = File::open(path).unwrap();
        let sent = soon(path, stream.send_file(&file, ..)).await.unwrap();
        assert_eq!(sent, expected.len() as u64, "{path}");
        assert_eq!(soon(path, stream.send_file(&file, 1..3)).await.unwrap(), 2);
        let error = soon(path, stream.send_file(&file, ..1 << 30)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(!stream.is_closed());
        drop(stream);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all[..expected.len()], expected);
        assert_eq!(all[expected.len()..][..2], expected[1..3]);
    }
}

#[tokio::test]
async fn a_unix_stream() {
    const LENGTH: u32 = 1_000_000;
    let (ours, mut peer) = crate::support::Unix::pair();
    let mut stream = MonitoredStream::new(ours).unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let file = file(LENGTH);
    let sent = soon("the file", stream.send_file(&file, 5..)).await;
    assert_eq!(sent.unwrap(), u64::from(LENGTH) - 5);
    drop(stream);
    assert!(reader.join().unwrap().into_iter().eq((5..LENGTH).map(byte)));
}

/// A file that is not in the page cache is read elsewhere: every byte arrives, in order.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_cold_file_arrives() {
    const LENGTH: u32 = 3_000_000;
    let file = file(LENGTH);
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let (mut stream, mut peer) = watched::<Tcp4>();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let sent = soon("the file", stream.send_file(&file, ..)).await;
    assert_eq!(sent.unwrap(), u64::from(LENGTH));
    drop(stream);
    assert!(reader.join().unwrap().into_iter().eq((0..LENGTH).map(byte)));
}

/// It was refused with no more than "Invalid argument".
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_without_the_page_cache_is_said() {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    let folder = tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, [1; 100_001]).unwrap();
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_DIRECT);
    // Not every file system has it, and some read what is not aligned through the page cache.
    let Ok(direct) = options.open(&path) else {
        return;
    };
    if direct.read_at(&mut [0; 9], 7).is_ok() {
        return;
    }
    let (mut stream, mut peer) = watched::<Tcp4>();
    let error = soon("the refusal", stream.send_file(&direct, 7..)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("O_DIRECT"), "{error}");
    // Nothing was sent, and the stream is open.
    let sent = soon(
        "the file",
        stream.send_file(&File::open(&path).unwrap(), ..2),
    )
    .await;
    assert_eq!(sent.unwrap(), 2);
    drop(stream);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, [1, 1]);
}
