//! Handles of one connection that stays open, made and dropped; and handles that outlive theirs.

use crate::Case;
use crate::loopback::Loopback;
use crate::support::soon;
use hangup::{CloseReason, Monitor, MonitoredStream, Status};
use heapdelta::{LeakError, LeakTest, Report};
use std::any::Any;
use std::future::pending;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::net::TcpStream;

pub(crate) const CASES: &[Case] = &[
    ("monitors", monitors),
    ("questions", questions),
    ("closed_that_is_not_awaited", closed_that_is_not_awaited),
    ("subscribe", subscribe),
    ("tokens", tokens),
    ("scripted", scripted),
    ("run_until_closed", run_until_closed),
    ("grace_that_is_ended", grace_that_is_ended),
    ("grace_that_is_dropped", grace_that_is_dropped),
    (
        "grace_that_is_dropped_in_its_period",
        grace_that_is_dropped_in_its_period,
    ),
    ("grace_that_is_resumed", grace_that_is_resumed),
    ("grace_that_expires", grace_that_expires),
    (
        "handles_dropped_in_every_order",
        handles_dropped_in_every_order,
    ),
];

/// A connection that is open to the end of the test.
struct Open {
    stream: MonitoredStream<TcpStream>,
    _peer: TcpStream,
}

/// Measures what is done with the monitor of an open connection.
pub(crate) fn on_an_open_one(
    test: LeakTest<'_>,
    mut operation: impl AsyncFnMut(&Monitor, &MonitoredStream<TcpStream>),
) -> Result<Report, LeakError> {
    test.run_async_with(
        async || {
            let (stream, _peer) = Loopback::new().await.open().await;
            Open { stream, _peer }
        },
        async |open| operation(&open.stream.monitor(), &open.stream).await,
    )
}

fn monitors(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, stream| {
        drop((monitor.clone(), stream.monitor()));
    })
}

fn questions(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, stream| {
        assert!(!monitor.is_closed() && monitor.close_reason().is_none());
        assert_eq!(
            (monitor.status(), monitor.probe()),
            (Status::Open, Status::Open)
        );
        assert!(!monitor.status().is_closed() && monitor.status().reason().is_none());
        assert_eq!(monitor.transfer().accepted, monitor.accepted());
        stream.wait_acknowledged().await.unwrap();
        monitor.wait_acknowledged().await.unwrap();
    })
}

fn closed_that_is_not_awaited(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, stream| {
        let mut polled = pin!(monitor.closed());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(polled.as_mut().poll(context).is_pending());
        drop((stream.closed(), polled.clone()));
    })
}

fn subscribe(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, _| {
        let mut watch = monitor.subscribe();
        let mut changed = pin!(watch.changed());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(changed.as_mut().poll(context).is_pending());
    })
}

fn tokens(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, _| {
        let token = monitor.cancellation_token();
        let child = token.child_token();
        child.cancel();
        assert!(!token.is_cancelled());
    })
}

fn run_until_closed(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, _| {
        assert_eq!(monitor.run_until_closed(async { 1 }).await, Ok(1));
        let failed = async { Err::<(), _>(std::io::Error::other("failed")) };
        assert!(
            monitor
                .run_io(failed)
                .await
                .unwrap_err()
                .close_reason()
                .is_none()
        );
        let mut never = pin!(monitor.run_until_closed(pending::<()>()));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(never.as_mut().poll(context).is_pending());
    })
}

fn scripted(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run(|| {
        let (monitor, remote) = Monitor::for_test();
        let closed = monitor.closed();
        remote.half_close();
        assert!(monitor.is_closed());
        drop((closed, remote.clone()));
        let config = hangup::MonitorConfig::new().half_close(hangup::HalfClose::Allow);
        let (other, _) = hangup::test_util::scripted(tokio::io::empty());
        let (stream, remote) = hangup::test_util::scripted_with_config(tokio::io::empty(), &config);
        remote.half_close();
        remote.acknowledge(0);
        drop(other);
        remote.hang_up(CloseReason::Reset);
        assert!(stream.is_closed());
    })
}

const LONG: Duration = Duration::from_secs(3600);

/// The case of a client that says goodbye on a connection that many requests share.
fn grace_that_is_ended(test: LeakTest<'_>) -> Result<Report, LeakError> {
    on_an_open_one(test, async |monitor, _| {
        let grace = monitor.grace_period(LONG).unwrap();
        let token = grace.cancellation_token();
        grace.end();
        assert!(grace.is_over() && token.is_cancelled());
    })
}

/// The handle and its tokens, in both orders; a derived token goes last, and keeps nothing.
fn grace_that_is_dropped(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut token_first = false;
    on_an_open_one(test, async |monitor, _| {
        let grace = monitor.grace_period(LONG).unwrap();
        let token = grace.cancellation_token();
        let derived = token.child_token();
        token_first = !token_first;
        let (first, last): (Box<dyn Any>, Box<dyn Any>) = match token_first {
            true => (Box::new((token.clone(), token)), Box::new(grace)),
            false => (Box::new((grace.clone(), grace)), Box::new(token)),
        };
        drop(first);
        assert!(!derived.is_cancelled());
        drop(last);
        assert!(derived.is_cancelled());
    })
}

/// The connection is over, and a task waits for a client that nobody waits for any more.
fn grace_that_is_dropped_in_its_period(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, _peer) = loopback.open().await;
        let token = stream
            .monitor()
            .grace_period(LONG)
            .unwrap()
            .cancellation_token();
        drop(stream);
        drop(token);
        // The task that was aborted ends when it is polled.
        tokio::task::yield_now().await;
    })
}

fn grace_that_is_resumed(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (first, _peer) = loopback.open().await;
        let grace = first.monitor().grace_period(LONG).unwrap();
        drop(first);
        let (second, _peer) = loopback.open().await;
        grace.resume(&second.monitor()).unwrap();
        drop(second);
        grace.end();
    })
}

fn grace_that_expires(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, _peer) = loopback.open().await;
        let grace = stream.monitor().grace_period(Duration::ZERO).unwrap();
        let token = grace.cancellation_token();
        drop(stream);
        soon("the end of the period", token.cancelled_owned()).await;
    })
}

/// The stream and four of its handles, each of the 120 orders in turn.
fn handles_dropped_in_every_order(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut order = 0;
    test.run_async_with(Loopback::new, async |loopback| {
        let (stream, peer) = loopback.open().await;
        let monitor = stream.monitor();
        let mut closed = Box::pin(stream.closed());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(closed.as_mut().poll(context).is_pending());
        let watch = monitor.subscribe();
        let token = monitor.cancellation_token();
        let mut handles: Vec<Box<dyn Any>> = vec![
            Box::new(stream),
            Box::new(monitor.clone()),
            Box::new(closed),
            Box::new(watch),
            Box::new(token),
        ];
        order += 1;
        let mut rest = order;
        while !handles.is_empty() {
            let place = rest % handles.len();
            rest /= handles.len() + 1;
            drop(handles.swap_remove(place));
        }
        drop(peer);
        assert_eq!(monitor.closed().await, CloseReason::Dropped);
    })
}
