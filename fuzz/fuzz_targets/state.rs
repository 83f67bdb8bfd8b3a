//! Lists of operations into the state machine and the shared cell, against a plain model.
//!
//! Checked after every operation:
//!
//! 1. First reason wins, and every observer tells the same one: the status, the close reason, the
//!    [`Closed`] futures, the watch channel and the tokens.
//! 2. Flag first, then wake: the close wakes every registered waker exactly once, nothing wakes one
//!    before or after it but a held FIN, which wakes the writer, and a waker that looks at the cell while
//!    it is woken sees the close or the FIN.
//! 8. Local actions are not the peer's.
//! 10. A FIN alone refuses no write while somebody is about to read it; the writer is woken when nobody is
//!     any more.
//!
//! The model knows no transitions: it keeps the whole history, and works the status out from it anew
//! each time.

#![no_main]
#![allow(dead_code, unreachable_pub)] // the files below are parts of a library

use arbitrary::Arbitrary;
use hangup::CloseReason;
use libfuzzer_sys::fuzz_target;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

// The cell is no part of the library's interface, and is compiled here from its source.
#[path = "../../tests/state_model/judge.rs"]
mod judge;

mod errors {
    pub(crate) use hangup::CloseReason;
}

#[path = "../../src/observe"]
mod observe {
    mod end;
    #[path = "lifecycle_off.rs"]
    pub(crate) mod lifecycle;

    pub(crate) use end::{Bytes, End};

    /// A panic in a waker is found.
    pub(crate) fn call_foreign(call: impl FnOnce()) {
        call();
    }
}

#[path = "../../src/state"]
mod state {
    mod atomic;
    mod cell;
    pub(crate) mod closed;
    pub(crate) mod counters;
    pub(crate) mod event;
    pub(crate) mod half_close;
    pub(crate) mod machine;
    /// Publishes at once, so that the channel can be compared after each operation.
    pub(crate) mod publish {
        use super::status::Status;
        use tokio::sync::watch;

        pub(crate) fn publish(channel: watch::Sender<Status>, status: Status) {
            channel.send_if_modified(|published| published.advance(status));
        }
    }
    pub(crate) mod keyed_list;
    mod observers;
    pub(crate) mod shared;
    pub(crate) mod status;
    pub(crate) mod sync;
}

use judge::{anything_local, is_fin_unread, judge};
use state::closed::Closed;
use state::event::{DetectedBy, Event};
use state::half_close::HalfClose;
use state::shared::SharedState;
use state::status::Status;

#[derive(Arbitrary, Debug)]
struct Input {
    half_close_allowed: bool,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Enter,
    Leave,
    File(Happening),
    Observe(Seen),
    NewClosed,
    CloneClosed(u8),
    PollClosed(u8, Choice),
    DropClosed(u8),
    /// Whether somebody is about to read.
    ParkWriter(Choice, bool),
    /// A read returns so many bytes.
    Read(u8),
    HoldFin,
    Subscribe,
    ReadSubscription(u8),
    DropSubscription(u8),
    Token,
    CancelToken(u8),
}

/// Which waker registers.
#[derive(Arbitrary, Debug)]
enum Choice {
    /// One of a few that are used again and again.
    Kept(u8),
    /// One that the cell alone holds, so that it is dropped where the cell lets go of it.
    Fresh,
}

#[derive(Arbitrary, Debug)]
enum Happening {
    Seen(Seen),
    ShutDown,
    Dropped,
    RuntimeShutdown,
}

/// What the watcher can see: nothing that we do ourselves.
#[derive(Arbitrary, Debug)]
enum Seen {
    Fin,
    EndOfInput,
    HungUp,
    BothFinished,
    Vanished,
    Reset { after_fin: bool },
    Failed(Error),
    Truncated,
}

#[derive(Arbitrary, Debug)]
enum Error {
    TimedOut,
    Unreachable,
    Truncated,
    TlsAlert,
    Other(u8),
}

impl Error {
    fn reason(&self) -> CloseReason {
        match self {
            Self::TimedOut => CloseReason::TimedOut,
            Self::Unreachable => CloseReason::Unreachable,
            Self::Truncated => CloseReason::Truncated,
            Self::TlsAlert => CloseReason::TlsAlert,
            Self::Other(text) => CloseReason::from(&io::Error::other(format!("error {text}"))),
        }
    }
}

impl Happening {
    fn event(&self) -> Event {
        match self {
            Self::Seen(seen) => seen.event(),
            Self::ShutDown => Event::ShutDown,
            Self::Dropped => Event::Dropped,
            Self::RuntimeShutdown => Event::RuntimeShutdown,
        }
    }
}

impl Seen {
    fn event(&self) -> Event {
        match self {
            Self::Fin => Event::Fin,
            Self::EndOfInput => Event::EndOfInput,
            Self::HungUp => Event::HungUp,
            Self::BothFinished => Event::BothFinished,
            Self::Vanished => Event::Vanished,
            Self::Reset { after_fin } => Event::Reset {
                after_fin: *after_fin,
            },
            Self::Failed(error) => Event::Failed(error.reason()),
            Self::Truncated => Event::Truncated,
        }
    }
}

/// A waker that counts, and that looks at the cell when it is woken and when it is dropped.
struct Counting {
    shared: Weak<SharedState>,
    wakes: Arc<AtomicUsize>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        // A held FIN wakes a writer while the stream is open.
        if shared.is_fin_delayed() {
            return;
        }
        // Invariant 2. To ask is also to take the cell's lock, which must be free here.
        assert!(shared.is_closed(), "woken before the flag");
        let reason = shared.close_reason().expect("woken before the reason");
        let mut context = Context::from_waker(Waker::noop());
        let late = Pin::new(&mut Closed::new(shared.clone())).poll(&mut context);
        assert_eq!(late, Poll::Ready(reason));
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.status();
        }
    }
}

/// A waker's count, and what the count must be.
struct Account {
    wakes: Arc<AtomicUsize>,
    due: usize,
}

struct Wakers {
    shared: Weak<SharedState>,
    kept: Vec<Waker>,
    /// Those of the kept ones come first.
    accounts: Vec<Account>,
}

impl Wakers {
    fn new(shared: Weak<SharedState>) -> Self {
        let mut wakers = Self {
            shared,
            kept: Vec::new(),
            accounts: Vec::new(),
        };
        wakers.kept = (0..3).map(|_| wakers.make().0).collect();
        wakers
    }

    fn make(&mut self) -> (Waker, usize) {
        let wakes = Arc::new(AtomicUsize::new(0));
        self.accounts.push(Account {
            wakes: wakes.clone(),
            due: 0,
        });
        let shared = self.shared.clone();
        let waker = Waker::from(Arc::new(Counting { shared, wakes }));
        (waker, self.accounts.len() - 1)
    }

    fn choose(&mut self, choice: &Choice) -> (Waker, usize) {
        match choice {
            Choice::Kept(index) => {
                let index = usize::from(*index) % self.kept.len();
                (self.kept[index].clone(), index)
            }
            Choice::Fresh => self.make(),
        }
    }
}

struct Subscription {
    receiver: watch::Receiver<Status>,
    seen: Status,
}

struct Token {
    token: CancellationToken,
    cancelled: bool,
}

fn pick<T>(list: &[T], index: u8) -> Option<usize> {
    (!list.is_empty()).then(|| usize::from(index) % list.len())
}

fuzz_target!(|input: Input| {
    let allowed = input.half_close_allowed;
    let shared = Arc::new(SharedState::new(match allowed {
        true => HalfClose::Allow,
        false => HalfClose::Close,
    }));

    // What there is, and beside each thing the account of the waker that it has registered.
    let mut call = None;
    let mut wakers = Wakers::new(Arc::downgrade(&shared));
    let mut futures: Vec<(Closed, Option<usize>)> = Vec::new();
    let mut writer: Option<usize> = None;
    let mut subscriptions: Vec<Subscription> = Vec::new();
    let mut tokens: Vec<Token> = Vec::new();

    // What has happened, and what the watcher has seen during the present call.
    let mut history: Vec<Event> = Vec::new();
    let mut put_off: Vec<Event> = Vec::new();
    let mut status = Status::Open;
    let mut held = false;
    // What a write that waits for the reader of a FIN had read when it parked.
    let mut parked_at: Option<u64> = None;

    let end = [Operation::Leave, Operation::File(Happening::Dropped)];
    for operation in input.operations.into_iter().chain(end) {
        // The model's side of what happens comes first: the wakers look at it.
        match &operation {
            Operation::File(happening) => history.push(happening.event()),
            Operation::Observe(seen) if call.is_some() => put_off.push(seen.event()),
            Operation::Observe(seen) => history.push(seen.event()),
            Operation::Leave => history.append(&mut put_off),
            _ => {}
        }
        let before = std::mem::replace(&mut status, judge(allowed, &history));
        // Invariant 1.
        assert!(!before.is_closed() || before == status);
        let unread = is_fin_unread(allowed, &history);
        // Invariant 10: what ends the wait wakes the writer, and so does a call that has read something.
        let read = matches!(operation, Operation::Leave) && call.is_some();
        let advanced = read && parked_at.is_some_and(|at| at != shared.counters.read());
        if before.is_closed() && (!unread || advanced) {
            if let Some(index) = writer.take() {
                wakers.accounts[index].due += 1;
            }
            parked_at = None;
        }
        if status.is_closed() && !before.is_closed() {
            let registered = futures.iter_mut().filter_map(|(_, waker)| waker.take());
            for index in registered.chain(writer.take()) {
                wakers.accounts[index].due += 1;
            }
            // Invariant 8.
            let reason = status.reason();
            assert!(anything_local(&history) || !reason.is_some_and(CloseReason::is_local));
        }

        match operation {
            Operation::Enter if call.is_none() => {
                let entered = shared.enter();
                assert_eq!(entered.closed, status.is_closed());
                call = Some(entered);
            }
            // A stream has one call at a time.
            Operation::Enter => {}
            Operation::Leave => drop(call.take()),
            Operation::File(happening) => shared.apply(happening.event(), DetectedBy::Us),
            Operation::Observe(seen) => shared.observe(seen.event(), DetectedBy::Watcher),
            Operation::NewClosed => futures.push((Closed::new(shared.clone()), None)),
            Operation::CloneClosed(index) => {
                if let Some(index) = pick(&futures, index) {
                    futures.push((futures[index].0.clone(), None));
                }
            }
            Operation::PollClosed(index, choice) => {
                if let Some(index) = pick(&futures, index) {
                    let (waker, account) = wakers.choose(&choice);
                    let (future, registered) = &mut futures[index];
                    match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
                        Poll::Ready(reason) => assert_eq!(Some(&reason), status.reason()),
                        Poll::Pending => {
                            assert!(!status.is_closed());
                            *registered = Some(account);
                        }
                    }
                }
            }
            Operation::DropClosed(index) => {
                if let Some(index) = pick(&futures, index) {
                    drop(futures.swap_remove(index));
                }
            }
            Operation::ParkWriter(choice, reads) => {
                let (waker, account) = wakers.choose(&choice);
                let refused = match unread {
                    true => !reads,
                    false => status.is_closed(),
                };
                match shared.park_writer(&waker, || reads) {
                    Err(reason) => {
                        assert!(refused);
                        assert_eq!(Some(&reason), status.reason());
                        writer = None;
                    }
                    Ok(()) => {
                        assert!(!refused);
                        writer = Some(account);
                    }
                }
                if unread {
                    parked_at = Some(shared.counters.read());
                }
            }
            // Bytes are read within a call.
            Operation::Read(bytes) if call.is_some() => {
                shared.counters.add_read(bytes.into());
            }
            Operation::Read(_) => {}
            Operation::HoldFin => {
                held = true;
                if let Some(index) = writer.take() {
                    wakers.accounts[index].due += 1;
                }
                shared.delay_fin();
            }
            Operation::Subscribe => subscriptions.push(Subscription {
                receiver: shared.subscribe(),
                seen: status.clone(),
            }),
            Operation::ReadSubscription(index) => {
                if let Some(index) = pick(&subscriptions, index) {
                    let subscription = &mut subscriptions[index];
                    subscription.seen = subscription.receiver.borrow_and_update().clone();
                }
            }
            Operation::DropSubscription(index) => {
                if let Some(index) = pick(&subscriptions, index) {
                    drop(subscriptions.swap_remove(index));
                }
            }
            Operation::Token => tokens.push(Token {
                token: shared.token(),
                cancelled: false,
            }),
            Operation::CancelToken(index) => {
                if let Some(index) = pick(&tokens, index) {
                    tokens[index].token.cancel();
                    tokens[index].cancelled = true;
                }
            }
        }

        // Invariant 1: all tell the same.
        assert_eq!(shared.status(), status);
        assert_eq!(shared.is_closed(), status.is_closed());
        assert_eq!(shared.is_fin_delayed(), held && !status.is_closed());
        assert_eq!(shared.close_reason().as_ref(), status.reason());
        let refused = status.reason().filter(|_| !unread);
        assert_eq!(shared.refusal(|| true).as_ref(), refused);
        assert_eq!(shared.refusal(|| false).as_ref(), status.reason());
        for Subscription { receiver, seen } in &subscriptions {
            assert_eq!(*receiver.borrow(), status);
            // A channel that was made after the close has no sender any more.
            assert_eq!(receiver.has_changed().unwrap_or(false), *seen != status);
        }
        for Token { token, cancelled } in &tokens {
            assert_eq!(token.is_cancelled(), *cancelled || status.is_closed());
        }
        // Invariant 2: each one once, and none else.
        for account in &wakers.accounts {
            assert_eq!(account.wakes.load(Ordering::Relaxed), account.due);
        }
    }
    // Late observers.
    for (future, _) in &mut futures {
        let late = Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(late, Poll::Ready(status.reason().expect("closed").clone()));
    }
});
