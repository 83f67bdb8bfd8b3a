//! `send_file` while a read of the file waits, as on a network file system whose server does not answer.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{Tcp4, reason, soon, watched};
use hangup::{CloseReason, Monitor};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};
use tokio_test::{assert_pending, task};

/// The kernel's log from its present end on: a read of it waits for the next message.
fn waiting() -> Option<File> {
    let opened = File::open("/dev/kmsg").and_then(|mut log| {
        log.seek(SeekFrom::End(0))?;
        Ok(log)
    });
    if let Err(error) = &opened {
        println!("skipped: /dev/kmsg: {error}");
    }
    opened.ok()
}

/// A runtime whose end does not wait for the read.
fn run(test: impl AsyncFnOnce(File)) {
    let Some(file) = waiting() else { return };
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let run = AssertUnwindSafe(|| runtime.block_on(test(file)));
    let ended = catch_unwind(run);
    runtime.shutdown_background();
    ended.unwrap_or_else(|panic| resume_unwind(panic));
}

async fn assert_ended(monitor: &Monitor, sending: impl Future<Output = io::Result<u64>>) {
    let error = soon("the end", sending).await.unwrap_err();
    let reason = monitor.close_reason();
    assert_eq!(reason, Some(CloseReason::PeerClosed));
    assert_eq!(CloseReason::carried_by(&error), reason.as_ref());
}

#[test]
fn a_peer_that_leaves_ends_it() {
    run(async |file| {
        let (mut stream, peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let mut sending = task::spawn(stream.send_file(&file, ..1 << 40));
        assert_pending!(sending.poll());
        drop(peer);
        assert_ended(&monitor, sending).await;
    });
}

/// The FIN that the other half has not read yet may be behind an answer (invariant 10).
#[test]
fn for_a_half_it_is_the_fin_that_was_read() {
    run(async |file| {
        let (stream, mut peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let (mut reader, mut writer) = stream.into_split();
        let mut sending = task::spawn(writer.send_file(&file, ..1 << 40));
        assert_pending!(sending.poll());
        peer.write_all(b"answer").unwrap();
        drop(peer);
        assert_eq!(reason(&monitor).await, CloseReason::PeerClosed);
        assert_pending!(sending.poll());
        let mut answer = String::new();
        soon("the answer", reader.read_to_string(&mut answer))
            .await
            .unwrap();
        assert_eq!(answer, "answer");
        assert_ended(&monitor, sending).await;
    });
}

#[test]
fn so_it_is_for_a_borrowed_half() {
    run(async |file| {
        let (mut stream, peer) = watched::<Tcp4>();
        let monitor = stream.monitor();
        let (_reader, mut writer) = stream.split();
        let mut sending = task::spawn(writer.send_file(&file, ..1 << 40));
        assert_pending!(sending.poll());
        drop(peer);
        assert_ended(&monitor, sending).await;
    });
}
