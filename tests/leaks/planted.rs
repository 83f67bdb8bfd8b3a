//! Leaks of three kinds that this library once had, put in again by the test: each is found, and measured.

use crate::handles::on_an_open_one;
use crate::loopback::Loopback;
use hangup::MonitorConfig;
use heapdelta::{LeakError, LeakErrorKind, LeakTest, Metric, Report};
use std::cell::RefCell;
use std::future::pending;
use std::mem::forget;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::AbortHandle;

/// A planted leak, by name: it fails unless it is found.
pub(crate) type Planted = (&'static str, fn(LeakTest<'_>) -> Result<(), String>);

pub(crate) const PLANTED: &[Planted] = &[
    ("planted_grace_period", a_grace_period),
    ("planted_side_buffer", a_side_buffer),
    ("planted_tasks", tasks),
];

/// The error of a test that must fail.
fn found(result: Result<Report, LeakError>) -> Result<LeakError, String> {
    match result {
        Ok(report) => Err(format!("a planted leak was not found:\n{report}")),
        Err(error) => match error.kind() {
            LeakErrorKind::Growth | LeakErrorKind::Unclosed => Ok(error),
            _ => Err(format!("it failed otherwise: {error}")),
        },
    }
}

/// As much as `metric` grew by with each call.
fn grew(error: &LeakError, metric: Metric) -> Result<f64, String> {
    let finding = error.finding(metric);
    let finding = finding.ok_or_else(|| format!("{metric} was not found: {error}"))?;
    Ok(finding.per_call)
}

/// A period whose handle is never dropped stays with its open connection.
fn a_grace_period(test: LeakTest<'_>) -> Result<(), String> {
    let result = on_an_open_one(test, async |monitor, _| {
        forget(monitor.grace_period(Duration::from_secs(3600)).unwrap());
    });
    let bytes = grew(&found(result)?, Metric::Rust)?;
    println!("planted_grace_period: {bytes:+.1} bytes a call");
    if (200.0..800.0).contains(&bytes) {
        return Ok(());
    }
    Err(format!("{bytes} bytes a period"))
}

/// The side buffer of an open connection, which is filled and never read.
fn a_side_buffer(test: LeakTest<'_>) -> Result<(), String> {
    const INPUT: usize = 1000;
    let open = async || {
        let config = MonitorConfig::new().read_ahead(1 << 26);
        Loopback::new().await.watched(&config).await
    };
    let result = test.run_async_with(open, async |(stream, peer)| {
        peer.write_all(&[1; INPUT]).await.unwrap();
        // A write moves the input into the side buffer.
        stream.write_all(b"x").await.unwrap();
        peer.read_exact(&mut [0]).await.unwrap();
    });
    let bytes = grew(&found(result)?, Metric::Rust)?;
    println!("planted_side_buffer: {bytes:+.1} bytes a call");
    if bytes > INPUT as f64 / 2.0 {
        return Ok(());
    }
    Err(format!("{bytes} bytes a call"))
}

/// A task for each call, which waits for what never comes.
fn tasks(test: LeakTest<'_>) -> Result<(), String> {
    let kept: RefCell<Vec<AbortHandle>> = RefCell::default();
    let result = test.run_async(async || {
        kept.borrow_mut()
            .push(tokio::spawn(pending::<()>()).abort_handle());
    });
    let error = found(result)?;
    if !error.to_string().contains("tasks +1") {
        return Err(format!("the task was not named: {error}"));
    }
    println!("planted_tasks: a task a call");
    Ok(())
}
