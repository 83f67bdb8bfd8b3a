//! A stream that says how it was called.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Answers each method in a way of its own, and keeps what it was called with. Where a trait has a
/// default for a method, its answer here is another than the default's would be: a wrapper that leaves
/// the method out is found out.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<String>,
}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.calls
            .push(format!("read, {} filled", buf.filled().len()));
        buf.put_slice(&b"data"[..buf.remaining().min(4)]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.calls.push(format!("write {}", buf.len()));
        Poll::Ready(Ok(buf.len() / 2))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
        self.calls.push(format!("write {lengths:?}"));
        Poll::Ready(Ok(lengths.iter().sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.calls.push("flush".into());
        Poll::Pending
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.calls.push("shutdown".into());
        Poll::Ready(Err(ErrorKind::Unsupported.into()))
    }
}
