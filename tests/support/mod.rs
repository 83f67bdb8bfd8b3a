//! What the tests share: connected pairs of real sockets, wakers that count, a process of one's own,
//! hosts of one's own, a browser, and a deadline.

#![allow(dead_code, unused_imports, unreachable_pub)] // each test program uses a part

mod alone;
#[cfg(unix)]
mod browser;
#[cfg(target_os = "linux")]
mod netns;
mod pair;
mod wakes;

pub use alone::alone;
#[cfg(unix)]
pub use browser::{Browser, Tab};
#[cfg(target_os = "linux")]
pub use netns::{Network, Timer};
pub use pair::{Pair, Peer, Tcp4, Tcp6, Unix};
pub use wakes::Wakes;

use hangup::{CloseReason, Monitor, Status};
use std::future::Future;
use std::time::Duration;

/// Long against any load of the machine: what takes longer hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The output of `future`, which must come before the deadline.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting for {what} after {DEADLINE:?}"),
    }
}

/// The reason for which the stream closes, which every kind of observer must tell (invariant 1).
pub async fn reason(monitor: &Monitor) -> CloseReason {
    let mut watch = monitor.subscribe();
    let reason = soon("the close", monitor.closed()).await;
    assert!(monitor.is_closed());
    assert_eq!(monitor.close_reason().as_ref(), Some(&reason));
    assert_eq!(monitor.status(), Status::Closed(reason.clone()));
    assert_eq!(monitor.probe(), Status::Closed(reason.clone()));
    let watched = soon("the watch channel", watch.wait_for(Status::is_closed)).await;
    assert_eq!(watched.unwrap().reason(), Some(&reason));
    assert!(monitor.cancellation_token().is_cancelled());
    assert_eq!(monitor.closed().await, reason);
    assert_eq!(
        monitor.run_until_closed(async {}).await,
        Err(reason.clone())
    );
    reason
}
