//! A part of a file that the kernel sends.

use super::cold::Cold;
use super::placeholder::REGION;
use crate::serve::byte_stream::ByteStream;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A part of a file, and how much of it is sent.
#[derive(Debug)]
pub(in crate::serve) struct Source {
    file: Arc<File>,
    start: u64,
    length: u64,
    sent: u64,
    cold: Cold,
}

impl Source {
    pub(super) fn new(file: Arc<File>, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            sent: 0,
            cold: Cold::default(),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn left(&self) -> u64 {
        self.length - self.sent
    }

    pub(super) fn is_sent(&self) -> bool {
        self.left() == 0
    }

    /// Has the kernel send up to `length` bytes of what is left.
    pub(super) fn poll_send<T: ByteStream>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let at = self.start + self.sent;
        let length = length.min(REGION);
        let cached = ready!(self.cold.poll_cached(&self.file, at, length, cx))?;
        // Between two calls the kernel would send what does not fill a packet, and the packets after it would be cut at
        // other places than the pages of the file.
        let takes_several_calls = self.length > REGION as u64;
        if takes_several_calls && self.sent == 0 {
            stream.cork(true);
        }
        let sent = ready!(stream.poll_send_file(cx, &self.file, at, cached))?;
        if sent == 0 {
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("hangup: the file was cut to {at} bytes while it was sent"),
            )));
        }
        self.sent += sent as u64;
        if takes_several_calls && self.is_sent() {
            stream.cork(false);
        }
        Poll::Ready(Ok(sent))
    }
}
