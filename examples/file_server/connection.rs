//! The stream that HTTP writes to: it tells the ledger how far the response has got.

use crate::board::{Board, Place};
use crate::ledger::Ledger;
use crate::report::Report;
use hangup::{Closed, MonitoredStream};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The fields are dropped in this order: the ledger is closed when the stream is over.
pub(crate) struct Connection {
    stream: MonitoredStream<TcpStream>,
    /// Its waker is the ledger, which so learns the time of the hang-up, without a task.
    _hang_up: Closed,
    open: Open,
}

impl Connection {
    pub(crate) fn new(
        stream: MonitoredStream<TcpStream>,
        client: SocketAddr,
        report: Report,
        board: Option<Arc<Board>>,
    ) -> Self {
        let ledger = Arc::new(Ledger::new(client, stream.monitor(), report, board.clone()));
        let waker = Waker::from(ledger.clone());
        let mut hang_up = stream.closed();
        if Pin::new(&mut hang_up)
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            waker.wake();
        }
        Self {
            stream,
            _hang_up: hang_up,
            open: Open {
                _place: board.map(|board| board.enter(ledger.clone())),
                ledger,
            },
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.open.ledger
    }
}

/// Closes the ledger when dropped.
struct Open {
    ledger: Arc<Ledger>,
    _place: Option<Place>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ledger.close();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.ledger().advance();
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.ledger().advance();
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes the stream when it has written all that it had: the ledger takes stock.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.ledger().take_stock();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
