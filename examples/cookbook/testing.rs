//! Tests of a handler, without a socket and without waiting.
//!
//! ```sh
//! cargo test --features test-util --example cookbook_testing
//! ```
//!
//! [`test_util`](hangup::test_util) has more: other ways to play the peer, and what each of them shows.

use hangup::{MonitoredStream, RunError};
use std::convert::Infallible;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// The handler under test: a tick each second, until the client leaves.
async fn ticks<S: AsyncWrite + Unpin>(mut stream: MonitoredStream<S>) -> (u32, RunError) {
    let (monitor, mut sent) = (stream.monitor(), 0);
    let Err(end) = monitor.run_io(send(&mut stream, &mut sent)).await;
    (sent, end)
}

async fn send<S>(stream: &mut MonitoredStream<S>, sent: &mut u32) -> io::Result<Infallible>
where
    S: AsyncWrite + Unpin,
{
    loop {
        stream.write_all(b"tick\n").await?;
        *sent += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = hangup::MonitoredListener::bind("127.0.0.1:7000").await?;
    loop {
        tokio::spawn(ticks(listener.accept_retrying().await.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangup::CloseReason;
    use hangup::test_util::scripted;
    use tokio::io::AsyncReadExt;

    /// The client leaves between two ticks: no write fails there.
    #[tokio::test(start_paused = true)]
    async fn stops_between_two_ticks() {
        let (io, mut client) = tokio::io::duplex(64);
        let (stream, remote) = scripted(io);
        let handler = tokio::spawn(ticks(stream));
        let mut received = [0; 15];
        client.read_exact(&mut received).await.expect("three ticks");
        assert_eq!(&received, b"tick\ntick\ntick\n");
        remote.hang_up(CloseReason::Reset);
        let (sent, end) = handler.await.expect("no panic");
        assert_eq!(sent, 3);
        assert_eq!(end.close_reason(), Some(&CloseReason::Reset));
    }
}
