//! The same loop with `hangup`.

use super::work::Work;
use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Short, so that the table is ready soon: a real server gives slow clients more time.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

pub(crate) async fn serve(stream: TcpStream, mut work: Work) -> io::Result<String> {
    let config = MonitorConfig::new().stall(StallPolicy::new(64 * 1024, WINDOW));
    let mut stream = MonitoredStream::with_config(stream, &config)?;
    let mut closed = stream.closed();
    loop {
        tokio::select! {
            biased;
            reason = &mut closed => return Ok(reason.to_string()),
            sent = async { stream.write_all(work.next().await).await } => {
                if let Err(error) = sent {
                    return Ok(CloseReason::from(&error).to_string());
                }
            }
        }
    }
}
