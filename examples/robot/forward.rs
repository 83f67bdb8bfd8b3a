//! Forwards bytes in both directions, up to a limit.

use std::io;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Forwards until one of the limits is reached, or until both have closed. Returns whether it was a limit.
pub(crate) async fn forward(
    sender: &mut TcpStream,
    peer: &mut TcpStream,
    (up, down): (u64, u64),
) -> io::Result<bool> {
    let (from_sender, to_sender) = sender.split();
    let (from_peer, to_peer) = peer.split();
    let mut up = pin!(pump(from_sender, to_peer, up));
    let mut down = pin!(pump(from_peer, to_sender, down));
    tokio::select! {
        cut = &mut up => Ok(cut? || down.await?),
        cut = &mut down => Ok(cut? || up.await?),
    }
}

/// Forwards until the limit is reached, or until `from` ends, and then ends `to`. Returns whether it was the limit.
///
/// When reading fails, all that was read has been written: `tokio::io::copy` does not promise that.
pub(crate) async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: u64,
) -> io::Result<bool> {
    let mut from = (&mut from).take(limit);
    let mut chunk = Vec::with_capacity(CHUNK);
    while from.limit() > 0 {
        chunk.clear();
        if from.read_buf(&mut chunk).await? == 0 {
            to.shutdown().await?;
            return Ok(false);
        }
        to.write_all(&chunk).await?;
    }
    Ok(true)
}
