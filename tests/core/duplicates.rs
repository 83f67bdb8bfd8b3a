//! Duplicates of descriptors, which keep the entry of a dropped stream in the watcher: they cost a bounded number of wake-ups,
//! the entries go with them, and what they report is nobody's.

#![cfg(all(target_os = "linux", not(hangup_fallback)))]

use crate::support::{alone, reason, soon};
use hangup::{CloseReason, Monitor, MonitoredStream, Status};
use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A stream, a duplicate of its descriptor, and its peer.
fn duplicated() -> (MonitoredStream<tokio::net::UnixStream>, OwnedFd, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let duplicate = ours.as_fd().try_clone_to_owned().unwrap();
    let ours = tokio::net::UnixStream::from_std(ours).unwrap();
    (MonitoredStream::new(ours).unwrap(), duplicate, peer)
}

/// The number of entries in all epolls of the process (proc_pid_fdinfo(5)).
fn entries() -> usize {
    let folder = fs::read_dir("/proc/self/fdinfo").unwrap();
    let texts = folder.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.map(|text| text.matches("tfd:").count()).sum()
}

/// How often the only worker of the runtime has gone to sleep, once it sleeps.
fn sleeps(runtime: &Runtime) -> u64 {
    let metrics = runtime.metrics();
    let (mut sleeps, mut unchanged) = (0, 0);
    while unchanged < 100 {
        thread::park_timeout(Duration::from_millis(1));
        let now = metrics.worker_park_count(0);
        unchanged = if now == sleeps { unchanged + 1 } else { 0 };
        sleeps = now;
    }
    sleeps
}

#[test]
fn they_cost_one_wake_up_for_each_news_and_their_entries_go_with_them() {
    if !alone("duplicates::they_cost_one_wake_up_for_each_news_and_their_entries_go_with_them") {
        return;
    }
    const COUNT: usize = 200;
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let _context = runtime.enter();
    let (steady, steady_peer) = UnixStream::pair().unwrap();
    steady.set_nonblocking(true).unwrap();
    let steady = tokio::net::UnixStream::from_std(steady).unwrap();
    let steady = MonitoredStream::new(steady).unwrap();
    let before = entries();

    let (mut streams, mut duplicates, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..COUNT {
        let (stream, duplicate, peer) = duplicated();
        streams.push(stream);
        duplicates.push(duplicate);
        peers.push(peer);
    }
    drop(streams);
    assert_eq!(entries(), before + COUNT);
    let quiet = sleeps(&runtime);
    for _ in 0..10 {
        for peer in &mut peers {
            peer.write_all(b"data").unwrap();
        }
    }
    assert_eq!(sleeps(&runtime), quiet, "data wakes the watcher");
    drop(peers);
    let told = sleeps(&runtime);
    assert!(told > quiet, "the entries are there");
    // The worker may sleep on its way to the watcher's task.
    assert!(told - quiet <= 3 * COUNT as u64, "{}", told - quiet);
    assert_eq!(
        sleeps(&runtime),
        told,
        "the watcher is woken again and again"
    );
    drop(duplicates);
    assert_eq!(entries(), before);

    drop(steady_peer);
    let reason = runtime.block_on(reason(&steady.monitor()));
    assert_eq!(reason, CloseReason::PeerClosed);
}

/// Threads of two runtimes use numbers again as fast as they can, while duplicates keep the files that had them before.
#[test]
fn what_they_report_is_nobodys_under_fire() {
    const ROUNDS: usize = 3000;
    let runtimes = [Builder::new_multi_thread(), Builder::new_current_thread()];
    let runtimes = runtimes.map(|mut runtime| runtime.enable_all().build().unwrap());
    let (leave, leaving) = mpsc::channel::<UnixStream>();
    let closer = thread::spawn(move || leaving.into_iter().for_each(drop));
    let round = |kept: &mut VecDeque<OwnedFd>, monitors: &mut Vec<Monitor>| {
        let (stream, duplicate, peer) = duplicated();
        let (innocent, _duplicate, _innocent_peer) = duplicated();
        monitors.push(stream.monitor());
        kept.push_back(duplicate);
        leave.send(peer).unwrap();
        drop(stream);
        let (living, _another, _living_peer) = duplicated();
        if kept.len() > 50 {
            kept.pop_front();
        }
        assert_eq!(innocent.monitor().probe(), Status::Open);
        assert_eq!(living.monitor().status(), Status::Open);
    };
    thread::scope(|scope| {
        for runtime in [&runtimes[0], &runtimes[0], &runtimes[1]] {
            scope.spawn(move || {
                let (mut kept, mut monitors) = (VecDeque::new(), Vec::new());
                runtime.block_on(async {
                    for number in 0..ROUNDS {
                        round(&mut kept, &mut monitors);
                        if number % 64 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    let (last, _duplicate, peer) = duplicated();
                    drop(peer);
                    let reason = soon("the last close", last.closed()).await;
                    assert_eq!(reason, CloseReason::PeerClosed);
                });
                for monitor in monitors {
                    let reason = monitor.close_reason();
                    let of_its_own = [CloseReason::Dropped, CloseReason::PeerClosed];
                    assert!(of_its_own.contains(&reason.unwrap()));
                }
            });
        }
    });
    drop(leave);
    closer.join().unwrap();
}
