//! The loop that also reads: a read beside the sending returns when the input ends.
//!
//! Data that it reads before the end belongs to the next request, or to the body that the handler has not
//! asked for. It has to be kept, so its size is bounded; at the bound the loop stops reading, and misses
//! the end.

use super::work::Work;
use std::future::pending;
use std::pin::pin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

pub(crate) async fn serve(stream: TcpStream, mut work: Work, read_ahead: usize) -> String {
    let (reader, mut writer) = stream.into_split();
    let mut end = pin!(end_of_input(reader, read_ahead));
    loop {
        tokio::select! {
            biased;
            reason = &mut end => return reason,
            sent = async { writer.write_all(work.next().await).await } => {
                if let Err(error) = sent {
                    return error.kind().to_string();
                }
            }
        }
    }
}

async fn end_of_input(mut reader: OwnedReadHalf, read_ahead: usize) -> String {
    let mut kept = vec![0; read_ahead];
    let mut filled = 0;
    while filled < kept.len() {
        match reader.read(&mut kept[filled..]).await {
            Ok(0) => return "end of file".to_owned(),
            Ok(bytes) => filled += bytes,
            Err(error) => return error.kind().to_string(),
        }
    }
    pending().await
}
