//! The outbox through a proxy that cuts its connections: what it promises holds.
//!
//! Alone in its program: it measures the memory that the program has allocated, by an allocator of its own.
//!
//! The long form:
//!
//! ```sh
//! HANGUP_CHAOS_MESSAGES=1000000 HANGUP_CHAOS_CUTS=2000 \
//!     cargo test --release --features outbox --test outbox_chaos -- --nocapture
//! ```
//!
//! `HANGUP_CHAOS_SEED` draws other cuts.

#![cfg(feature = "outbox")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

// The network of the example `robot`: an example is no library that a test could use.
#[path = "../../examples/robot/cuts.rs"]
mod cuts;
#[path = "../../examples/robot/cutting.rs"]
mod cutting;
#[path = "../../examples/robot/forward.rs"]
mod forward;
#[cfg(target_os = "linux")]
mod manners;
mod memory;
mod message;
mod peer;
#[path = "../../examples/robot/proxy.rs"]
mod proxy;
mod run;

use cuts::Cut;
use message::Mix;
use peer::Replies;
use run::{Settings, run};
use std::time::Duration;
use tokio::sync::Mutex;

/// One run at a time: they measure the program's memory.
static ALONE: Mutex<()> = Mutex::const_new(());

fn settings(mix: Mix, replies: Replies) -> Settings {
    let number = |name: &str, otherwise| {
        std::env::var(name).map_or(otherwise, |number| {
            number
                .parse()
                .unwrap_or_else(|_| panic!("{name}={number} is no number"))
        })
    };
    Settings {
        messages: number("HANGUP_CHAOS_MESSAGES", 20_000),
        cuts: number("HANGUP_CHAOS_CUTS", 50),
        seed: number("HANGUP_CHAOS_SEED", 1),
        hold: Duration::from_millis(50),
        mix,
        replies,
        send_buffer: None,
    }
}

/// None is lost, none is damaged, the order is kept, and only what was not confirmed comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_by_peer_in_batches() {
    let _alone = ALONE.lock().await;
    let settings = settings(Mix::AllImportant, Replies::Batches);
    let outcome = run(settings).await;
    assert_eq!(outcome.receipts.delivered, settings.messages);
    assert!(
        outcome.mid_message > 0 && outcome.duplicates > 0,
        "{outcome}"
    );
}

/// The same with a reply to each message, and half of the messages best effort: those never hold up the
/// others, never come twice, and never come after their time. For that a black hole lasts far longer than
/// they do, and takes in less than what waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn best_effort_among_important() {
    let _alone = ALONE.lock().await;
    let mut settings = settings(Mix::Halves(Duration::from_millis(20)), Replies::Each);
    settings.cuts /= 4;
    settings.seed += 2;
    settings.hold = Duration::from_secs(4);
    settings.send_buffer = Some(16 * 1024);
    let outcome = run(settings).await;
    let receipts = &outcome.receipts;
    assert!(outcome.tally.of(Cut::BlackHole) > 0, "{outcome}");
    assert!(outcome.best_effort > 0 && receipts.expired > 0, "{outcome}");
    // The replies to some of them were lost.
    let delivered = settings.messages / 2 + outcome.best_effort;
    assert!(receipts.delivered <= delivered, "{outcome}");
}

/// Where the peer lives and reads what its TCP has acknowledged, none is lost.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_by_a_peer_that_lives() {
    let _alone = ALONE.lock().await;
    let settings = settings(Mix::AllImportant, Replies::None);
    let outcome = run(settings).await;
    assert_eq!(outcome.receipts.delivered, settings.messages);
    assert!(
        outcome.mid_message > 0 && outcome.duplicates > 0,
        "{outcome}"
    );
}
