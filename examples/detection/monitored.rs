//! The same loop with `hangup`.

use crate::work::Work;
use hangup::{CloseReason, MonitoredStream};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(crate) async fn serve(stream: TcpStream, mut work: Work) -> io::Result<String> {
    let mut stream = MonitoredStream::new(stream)?;
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
