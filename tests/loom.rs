//! Every interleaving of the shared cell's observers with the events that they observe, by loom.
//!
//! The cell is compiled here once more, from its source, with loom's locks and atomics in the place
//! of std's, so it is alone in its program. Each model is explored to four preemptions, and to its end with
//! `HANGUP_LOOM_WHOLE=1`, as `ci/loom.sh` does.
//!
//! Loom runs its threads in turns on one, and switches between them in its own operations only. So no std lock
//! may be held over one of them: tokio's watch channel, which the cell publishes to under the channel's lock, has a
//! stand-in here that does the same under a lock of loom's.

#![allow(dead_code, unreachable_pub)] // the files below are parts of a library

use hangup::CloseReason;
use loom::future::block_on;
use loom::thread;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

// In the files below `tokio::sync` and `tokio_util::sync` are the `sync` of this one.
extern crate self as tokio;
extern crate self as tokio_util;
extern crate tokio_util as real_tokio_util;

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    #[derive(Debug, Clone, Default)]
    pub(crate) struct CancellationToken(real_tokio_util::sync::CancellationToken);

    impl CancellationToken {
        pub(crate) fn child_token(&self) -> Self {
            Self(self.0.child_token())
        }

        pub(crate) fn cancel(&self) {
            self.0.cancel();
        }

        pub(crate) fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
    }

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().expect("a panic ends the model")
    }

    pub(crate) mod watch {
        use super::{Mutex, lock};
        use std::sync::Arc;

        #[derive(Debug, Clone)]
        pub(crate) struct Sender<T>(Arc<Mutex<T>>);

        pub(crate) struct Receiver<T>(Arc<Mutex<T>>);

        impl<T> Sender<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(Arc::new(Mutex::new(value)))
            }

            /// As in tokio, `modify` runs under the channel's lock.
            pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
                modify(&mut lock(&self.0))
            }

            pub(crate) fn subscribe(&self) -> Receiver<T> {
                Receiver(self.0.clone())
            }
        }

        impl<T: Clone> Receiver<T> {
            pub(crate) fn get(&self) -> T {
                lock(&self.0).clone()
            }
        }
    }
}

// The cell is no part of the library's interface, and loom has to replace its atomics and locks: it is
// compiled here from its source.
#[path = "../src/observe"]
mod observe {
    mod end;

    pub(crate) use end::{Bytes, End};

    /// A panic in a waker fails the model.
    pub(crate) fn call_foreign(call: impl FnOnce()) {
        call();
    }

    /// Counts how often the end is recorded.
    pub(crate) mod lifecycle {
        use super::End;
        use std::sync::atomic::{AtomicUsize, Ordering};

        #[derive(Debug)]
        pub(crate) struct Lifecycle(AtomicUsize);

        impl Lifecycle {
            pub(crate) const RECORDED: bool = true;

            pub(crate) fn new() -> Self {
                Self(AtomicUsize::new(0))
            }

            pub(crate) fn end(&self, _: &End<'_>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }

            pub(crate) fn ends(&self) -> usize {
                self.0.load(Ordering::Relaxed)
            }
        }
    }
}

mod errors {
    pub(crate) use hangup::CloseReason;
}

// As above.
#[path = "../src/state"]
mod state {
    mod atomic;
    mod cell;
    pub(crate) mod closed;
    pub(crate) mod counters;
    pub(crate) mod event;
    pub(crate) mod half_close;
    pub(crate) mod machine;
    /// Publishes at once: loom has no threads that come later.
    pub(crate) mod publish {
        use super::status::Status;
        use crate::sync::watch;

        pub(crate) fn publish(channel: watch::Sender<Status>, status: Status) {
            channel.send_if_modified(|published| published.advance(status));
        }
    }
    pub(crate) mod keyed_list;
    mod observers;
    pub(crate) mod shared;
    pub(crate) mod status;
    pub(crate) use crate::sync;
}

use state::closed::Closed;
use state::event::{DetectedBy, Event};
use state::half_close::HalfClose;
use state::shared::SharedState;
use state::status::Status;

/// Enough for the faults that were put in by hand, and a twentieth of the time of all.
const PREEMPTIONS: usize = 4;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if std::env::var_os("HANGUP_LOOM_WHOLE").is_none() {
        builder.preemption_bound.get_or_insert(PREEMPTIONS);
    }
    builder.check(model);
}

fn shared(half_close: HalfClose) -> Arc<SharedState> {
    Arc::new(SharedState::new(half_close))
}

fn spawn<T: 'static>(
    shared: &Arc<SharedState>,
    run: impl FnOnce(Arc<SharedState>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let shared = shared.clone();
    thread::spawn(move || run(shared))
}

/// A waker that counts, and that finds the cell closed whenever it is woken (invariant 2).
struct Counting {
    shared: Weak<SharedState>,
    wakes: AtomicUsize,
}

impl Counting {
    fn new(shared: &Arc<SharedState>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::downgrade(shared),
            wakes: AtomicUsize::new(0),
        })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        let shared = self.shared.upgrade().expect("the cell lives");
        assert!(shared.is_closed(), "woken before the flag");
        assert!(shared.close_reason().is_some(), "woken before the reason");
        self.wakes
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

fn poll(closed: &mut Closed, waker: &Arc<Counting>) -> Poll<CloseReason> {
    let waker = Waker::from(waker.clone());
    Pin::new(closed).poll(&mut Context::from_waker(&waker))
}

/// Invariants 1 and 2. A lost wake-up is a deadlock, which loom reports.
#[test]
fn who_awaits_the_close_is_told_the_first_reason() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waiter = spawn(&shared, |shared| block_on(Closed::new(shared)));
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        shared.apply(Event::Reset { after_fin: false }, DetectedBy::Read);
        let reason = waiter.join().unwrap();
        filer.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(reason));
    });
}

/// Invariant 2: told at once, or woken exactly once.
#[test]
fn a_poll_sees_the_close_or_is_woken_by_it() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waker = Counting::new(&shared);
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let mut closed = Closed::new(shared.clone());
        let polled = poll(&mut closed, &waker);
        filer.join().unwrap();
        assert_eq!(waker.wakes(), usize::from(polled.is_pending()));
        assert_eq!(
            poll(&mut closed, &waker),
            Poll::Ready(CloseReason::PeerClosed)
        );
    });
}

/// Invariant 2, for a future that is moved from one task to another.
#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let wakers = [Counting::new(&shared), Counting::new(&shared)];
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let mut closed = Closed::new(shared.clone());
        let first = poll(&mut closed, &wakers[0]);
        let second = poll(&mut closed, &wakers[1]);
        filer.join().unwrap();
        let wakes = [wakers[0].wakes(), wakers[1].wakes()];
        match (first, second) {
            (Poll::Pending, Poll::Pending) => assert_eq!(wakes, [0, 1]),
            (Poll::Pending, Poll::Ready(_)) => assert_eq!(wakes, [1, 0]),
            (Poll::Ready(_), _) => assert_eq!(wakes, [0, 0]),
        }
    });
}

/// Invariant 2: a dropped future takes its waker along, or the close has it already.
#[test]
fn a_dropped_future_takes_nobody_elses_waker() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let wakers = [Counting::new(&shared), Counting::new(&shared)];
        let mut stays = Closed::new(shared.clone());
        assert!(poll(&mut stays, &wakers[0]).is_pending());
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let mut goes = Closed::new(shared.clone());
        let polled = poll(&mut goes, &wakers[1]);
        drop(goes);
        filer.join().unwrap();
        assert_eq!(wakers[0].wakes(), 1);
        assert!(wakers[1].wakes() <= usize::from(polled.is_pending()));
    });
}

/// Invariants 2 and 6: a pending write is refused or woken, never left.
#[test]
fn a_writer_is_refused_or_woken() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waker = Counting::new(&shared);
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let parked = shared.park_writer(&Waker::from(waker.clone()), || false);
        filer.join().unwrap();
        assert_eq!(waker.wakes(), usize::from(parked.is_ok()));
        assert_eq!(
            shared.park_writer(Waker::noop(), || false),
            Err(CloseReason::PeerClosed)
        );
    });
}

/// Invariants 2 and 10: a write that waits for the reader is woken by whatever ends its wait, and refused
/// from then on.
#[test]
fn a_writer_behind_a_fin_is_refused_or_woken() {
    for last in [Event::EndOfInput, Event::Aborted] {
        explore(move || {
            let shared = shared(HalfClose::Close);
            let waker = Counting::new(&shared);
            shared.apply(Event::Fin, DetectedBy::Watcher);
            let event = last.clone();
            let filer = spawn(&shared, |shared| shared.apply(event, DetectedBy::Read));
            let parked = shared.park_writer(&Waker::from(waker.clone()), || true);
            filer.join().unwrap();
            assert_eq!(waker.wakes(), usize::from(parked.is_ok()));
            let refusal = shared.park_writer(Waker::noop(), || true);
            assert_eq!(refusal, Err(CloseReason::PeerClosed));
            let refusal = shared.refusal(|| true);
            assert_eq!(refusal, Some(CloseReason::PeerClosed));
        });
    }
}

/// Invariant 10: a FIN that is reported while a write parks wakes it at the latest then, and the write asks
/// again whether somebody reads.
#[test]
fn a_fin_finds_the_writer_or_the_writer_the_fin() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waker = Counting::new(&shared);
        let watcher = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher);
        });
        let parked = shared.park_writer(&Waker::from(waker.clone()), || false);
        watcher.join().unwrap();
        assert_eq!(waker.wakes(), usize::from(parked.is_ok()));
        assert_eq!(shared.refusal(|| true), None);
        assert_eq!(shared.refusal(|| false), Some(CloseReason::PeerClosed));
    });
}

/// Invariant 2: whoever sees the flag gets the reason.
#[test]
fn the_flag_comes_with_the_reason() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let call = shared.enter();
        assert!(!call.closed || shared.close_reason().is_some());
        drop(call);
        assert!(!shared.is_closed() || shared.close_reason().is_some());
        filer.join().unwrap();
        assert!(shared.is_closed());
    });
}

/// Invariants 1 and 2: the channel ends with the last status, whoever published last.
#[test]
fn the_channel_ends_with_the_close() {
    explore(|| {
        let shared = shared(HalfClose::Allow);
        let filers = [
            spawn(&shared, |shared| {
                shared.apply(Event::EndOfInput, DetectedBy::Read)
            }),
            spawn(&shared, |shared| {
                shared.apply(Event::Reset { after_fin: false }, DetectedBy::Read);
            }),
        ];
        let channel = shared.subscribe();
        for filer in filers {
            filer.join().unwrap();
        }
        assert_eq!(channel.get(), Status::Closed(CloseReason::Reset));
    });
}

/// Invariant 2: two who subscribe first at a time share the channel that the close finds.
#[test]
fn the_first_subscribers_share_a_channel() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let other = spawn(&shared, |shared| shared.subscribe());
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let channels = [shared.subscribe(), other.join().unwrap()];
        filer.join().unwrap();
        for channel in channels {
            assert_eq!(channel.get(), Status::Closed(CloseReason::PeerClosed));
        }
    });
}

/// Invariant 2.
#[test]
fn a_token_is_cancelled_by_the_close() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let filer = spawn(&shared, |shared| {
            shared.apply(Event::EndOfInput, DetectedBy::Read)
        });
        let token = shared.token();
        filer.join().unwrap();
        assert!(token.is_cancelled());
    });
}

/// Invariant 2, for a FIN that is held: a writer that registers has seen it, or is woken.
#[test]
fn a_writer_sees_the_held_fin_or_is_woken_by_it() {
    struct Plain(AtomicUsize);

    impl Wake for Plain {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    explore(|| {
        let shared = shared(HalfClose::Close);
        let plain = Arc::new(Plain(AtomicUsize::new(0)));
        let watcher = spawn(&shared, |shared| shared.delay_fin());
        let call = shared.enter();
        shared
            .park_writer(&Waker::from(plain.clone()), || false)
            .unwrap();
        let seen = shared.is_fin_delayed();
        drop(call);
        watcher.join().unwrap();
        let wakes = plain.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(wakes <= 1 && (seen || wakes == 1));
        assert_eq!(shared.status(), Status::Open);
        shared.apply(Event::EndOfInput, DetectedBy::Read);
        assert!(!shared.is_fin_delayed());
    });
}

/// Invariant 1: the time of a held FIN runs out while a call finds out what it means.
#[test]
fn the_call_that_finds_the_meaning_of_a_fin_is_believed() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        shared.delay_fin();
        let call = shared.enter();
        let timer = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher)
        });
        shared.apply(Event::Failed(CloseReason::Truncated), DetectedBy::Read);
        drop(call);
        timer.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(CloseReason::Truncated));
    });
}

/// Invariant 8: a call does the shutdown, the peer answers with its FIN, and the watcher sees the FIN
/// before the call has come to say that it did the shutdown.
#[test]
fn what_the_watcher_saw_during_a_call_waits_for_its_end() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waker = Counting::new(&shared);
        shared
            .park_writer(&Waker::from(waker.clone()), || false)
            .unwrap();
        let call = shared.enter();
        let watcher = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher)
        });
        shared.apply(Event::ShutDown, DetectedBy::Us);
        drop(call);
        watcher.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(CloseReason::Finished));
        assert_eq!(waker.wakes(), 1);
    });
}

/// Invariant 2: no word of the watcher's is left behind between two calls.
#[test]
fn what_the_watcher_saw_is_taken_in_at_the_latest_by_the_calls_end() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let waker = Counting::new(&shared);
        shared
            .park_writer(&Waker::from(waker.clone()), || false)
            .unwrap();
        let watcher = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher)
        });
        drop(shared.enter());
        drop(shared.enter());
        watcher.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(CloseReason::PeerClosed));
        assert_eq!(waker.wakes(), 1);
        assert_eq!(shared.lifecycle.ends(), 1);
    });
}

/// Invariant 2. A FIN that did not close the stream and then a reset were both seen during one call,
/// and the second was forgotten: nobody was ever told of the reset.
#[test]
fn all_that_the_watcher_saw_during_a_call_counts() {
    explore(|| {
        let shared = shared(HalfClose::Allow);
        let watcher = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher);
            shared.observe(Event::Reset { after_fin: false }, DetectedBy::Watcher);
        });
        drop(shared.enter());
        watcher.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(CloseReason::Reset));
    });
}

/// As above, with a monitor's probe beside the watcher.
#[test]
fn two_who_saw_something_are_both_heard() {
    explore(|| {
        let shared = shared(HalfClose::Allow);
        let watcher = spawn(&shared, |shared| {
            shared.observe(Event::Fin, DetectedBy::Watcher)
        });
        let probe = spawn(&shared, |shared| {
            shared.observe(Event::Reset { after_fin: false }, DetectedBy::Watcher);
        });
        drop(shared.enter());
        watcher.join().unwrap();
        probe.join().unwrap();
        assert_eq!(shared.status(), Status::Closed(CloseReason::Reset));
    });
}

/// The account is closed once, at the latest at the end of the call during which the stream closed:
/// whoever closed it, an abort on another thread or the call itself.
#[test]
fn the_account_is_closed_once() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let aborter = spawn(&shared, |shared| {
            shared.apply(Event::Aborted, DetectedBy::Us)
        });
        let call = shared.enter();
        shared.apply(Event::EndOfInput, DetectedBy::Read);
        drop(call);
        aborter.join().unwrap();
        assert_eq!(shared.lifecycle.ends(), 1);
    });
}

/// Within a call the counts are not exact: the account waits for its end.
#[test]
fn the_account_stays_open_during_a_call() {
    explore(|| {
        let shared = shared(HalfClose::Close);
        let call = shared.enter();
        shared.apply(Event::EndOfInput, DetectedBy::Read);
        assert_eq!(shared.lifecycle.ends(), 0);
        drop(call);
        assert_eq!(shared.lifecycle.ends(), 1);
    });
}
