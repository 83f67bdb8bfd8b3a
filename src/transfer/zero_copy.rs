//! Sends a file by sendfile(2): the kernel moves the bytes from its page cache into the socket.

use super::file_part::{CHUNK, FilePart};
use super::page_cache;
use super::while_open::while_open;
use crate::stream::SocketWrite;
use std::future::poll_fn;
use std::io::{self, ErrorKind};

/// Sends the part with sendfile(2). It returns early if the kernel does not support that for this file.
pub(super) async fn send_by_kernel<S: SocketWrite>(
    stream: &mut S,
    part: &mut FilePart,
) -> io::Result<()> {
    let Some(end) = part.end.filter(|_| page_cache::is_known(&part.file)) else {
        return Ok(());
    };
    // Bytes before this offset can be sent without waiting for the disk.
    let mut cached = part.at;
    while part.at < end {
        if cached <= part.at {
            cached = while_open(stream, part.cache(end)).await?;
        }
        let length = usize::try_from(cached.min(end) - part.at).unwrap_or(CHUNK);
        let Some(sent) = send_cached(stream, part, length.min(CHUNK)).await? else {
            return Ok(());
        };
        if sent == 0 {
            part.ended()?;
            return Ok(());
        }
        part.at += sent as u64;
    }
    Ok(())
}

/// Sends as much as fits into the socket. `None` if the kernel does not support that for this file, or if the file has
/// an error, which reading the file then returns.
async fn send_cached<S: SocketWrite>(
    stream: &mut S,
    part: &FilePart,
    length: usize,
) -> io::Result<Option<usize>> {
    let mut is_of_the_file = false;
    let sent = poll_fn(|cx| {
        stream.poll_write_with(cx, |socket| {
            let mut at = part.at;
            let sent = rustix::io::retry_on_intr(|| {
                rustix::fs::sendfile(socket, &part.file, Some(&mut at), length)
            });
            match sent.map_err(io::Error::from) {
                // Only an error of the connection may close the stream.
                Err(error)
                    if error.kind() != ErrorKind::WouldBlock
                        && !is_of_the_connection(socket, &error) =>
                {
                    is_of_the_file = true;
                    Ok(0)
                }
                sent => sent,
            }
        })
    })
    .await?;
    Ok((!is_of_the_file).then_some(sent))
}

/// Whether an error of sendfile(2) comes from the connection. A file on a network file system can return the same error
/// codes. A failed connection is closed in both directions.
fn is_of_the_connection(socket: &impl std::os::fd::AsFd, error: &io::Error) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    if error.kind() == ErrorKind::BrokenPipe {
        return true;
    }
    let mut polled = [PollFd::new(socket, PollFlags::HUP)];
    let over = poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().contains(PollFlags::HUP);
    over && crate::errors::is_connection_error(error)
}
