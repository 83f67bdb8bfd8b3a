//! The period of grace: work that outlives its connection for a while.

use crate::support::{DEADLINE, soon};
use hangup::{CloseReason, MonitoredStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::runtime::Builder;
use tokio::time::{advance, sleep};

const PERIOD: Duration = Duration::from_secs(20);

fn stream() -> MonitoredStream<DuplexStream> {
    MonitoredStream::unwatched(tokio::io::duplex(64).0)
}

#[tokio::test(start_paused = true)]
async fn fires_after_the_period_and_not_before() {
    let stream = stream();
    let grace = stream.monitor().grace_period(PERIOD).unwrap();
    let token = grace.cancellation_token();
    sleep(2 * PERIOD).await;
    assert!(!token.is_cancelled(), "the connection is open");
    drop(stream);
    sleep(PERIOD - Duration::from_millis(10)).await;
    assert!(!token.is_cancelled() && !grace.is_over());
    sleep(Duration::from_millis(20)).await;
    assert!(token.is_cancelled() && grace.is_over());
    assert!(grace.cancellation_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_stops_the_period() {
    let mut stream = stream();
    let grace = stream.monitor().grace_period(PERIOD).unwrap();
    let token = grace.cancellation_token();
    for _ in 0..5 {
        drop(stream);
        sleep(PERIOD / 2 + Duration::from_secs(5)).await;
        stream = self::stream();
        grace.resume(&stream.monitor()).unwrap();
        sleep(2 * PERIOD).await;
        assert!(!token.is_cancelled());
    }
    drop(stream);
    sleep(PERIOD + Duration::from_millis(10)).await;
    assert!(token.is_cancelled());
    assert!(grace.resume(&self::stream().monitor()).is_err());
}

/// A client reconnects before the server has noticed that the old connection is dead. Its end, when it is
/// noticed, begins no period.
#[tokio::test(start_paused = true)]
async fn the_period_begins_with_the_end_of_the_last_connection() {
    let old = stream();
    let grace = old.monitor().grace_period(PERIOD).unwrap();
    let new = stream();
    grace.resume(&new.monitor()).unwrap();
    drop(old);
    sleep(2 * PERIOD).await;
    assert!(!grace.is_over());
    drop(new);
    sleep(PERIOD + Duration::from_millis(10)).await;
    assert!(grace.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_over_begins_the_period_at_once() {
    let over = stream().monitor();
    assert_eq!(over.close_reason(), Some(CloseReason::Dropped));
    let grace = over.grace_period(PERIOD).unwrap();
    tokio::task::yield_now().await;
    advance(PERIOD / 2).await;
    assert!(!grace.is_over());
    grace.resume(&over).unwrap();
    sleep(PERIOD - Duration::from_millis(10)).await;
    assert!(!grace.is_over(), "it begins anew");
    sleep(Duration::from_millis(20)).await;
    assert!(grace.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_ends_it() {
    let stream = stream();
    let grace = stream.monitor().grace_period(PERIOD).unwrap();
    let token = grace.cancellation_token();
    grace.end();
    assert!(token.is_cancelled());
    assert!(grace.resume(&stream.monitor()).is_err());
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn fires_without_a_handle() {
    let stream = stream();
    let token = stream
        .monitor()
        .grace_period(PERIOD)
        .unwrap()
        .cancellation_token();
    drop(stream);
    soon("the token", token.cancelled()).await;
}

/// Tokens are handles. A derived one cannot be: it is cancelled with the last of them.
#[tokio::test(start_paused = true)]
async fn the_last_handle_or_token_ends_it() {
    let stream = stream();
    let grace = stream.monitor().grace_period(PERIOD).unwrap();
    let (token, other) = (grace.cancellation_token(), grace.cancellation_token());
    let derived = token.child_token();
    token.cancel();
    assert!(!other.is_cancelled(), "each token is cancelled alone");
    let derived_from_other = other.child_token();
    assert!(derived.is_cancelled() && !derived_from_other.is_cancelled());
    let waiting = tokio::spawn(other.cancelled_owned());
    drop((grace, token));
    sleep(PERIOD).await;
    assert!(!derived_from_other.is_cancelled(), "the task has one left");
    waiting.abort();
    soon("the end", derived_from_other.cancelled()).await;
}

/// No task while a connection is open, and one during the period.
#[tokio::test(start_paused = true)]
async fn what_it_costs() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let stream = stream();
    let grace = stream.monitor().grace_period(PERIOD).unwrap();
    assert_eq!(tasks(), before);
    drop(stream);
    assert_eq!(tasks(), before + 1);
    grace.resume(&self::stream().monitor()).unwrap();
    grace.end();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), before);
}

/// The runtime ends during the period, or before it: the token fires, as nothing will wait any more.
#[test]
fn the_runtime_ends_first() {
    for drop_stream_first in [true, false] {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let stream = stream();
        let grace = runtime.block_on(async { stream.monitor().grace_period(DEADLINE).unwrap() });
        if drop_stream_first {
            drop(stream);
            assert!(!grace.is_over());
            drop(runtime);
        } else {
            drop(runtime);
            assert!(!grace.is_over());
            drop(stream);
        }
        assert!(grace.is_over() && grace.cancellation_token().is_cancelled());
    }
}

#[test]
fn without_a_runtime_it_is_refused() {
    let error = stream().monitor().grace_period(PERIOD).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}
