//! A child process that reads a part of its input and exits, as `head` does.
//!
//! ```sh
//! cargo run --example cookbook_child_process -- head -c 100000
//! ```
//!
//! The monitor ends the work as soon as the child has closed its input, and says how much the child has read. Linux only:
//! elsewhere pipes are not watched.

use hangup::{MonitorConfig, MonitoredStream};
use std::process::Stdio;
use std::time::Duration;
use std::{env, io};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let program = arguments.next().unwrap_or("head".into());
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    println!("started {}", child.id().unwrap_or(0));
    let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut input = MonitoredStream::write_only(input, &MonitorConfig::default())?;
    let monitor = input.monitor();
    if let Err(end) = monitor.run_io(feed(&mut input)).await {
        let transfer = monitor.transfer();
        println!(
            "stopped: {end}: {} bytes written, of which {} were read",
            transfer.accepted,
            transfer.acknowledged.unwrap_or(0),
        );
    }
    drop(input);
    println!("the child: {}", child.wait().await?);
    Ok(())
}

/// Rows of a slow query.
async fn feed(input: &mut MonitoredStream<ChildStdin>) -> io::Result<()> {
    let mut row = vec![b'x'; 10_000];
    row[9_999] = b'\n';
    loop {
        input.write_all(&row).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
