//! One connection as the outbox has it: it breaks at some byte, in one of three ways.

use crate::checks::Checks;
use crate::host::Host;
use fastrand::Rng;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What happens at the byte at which a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    Fin,
    Reset,
    /// Nothing arrives any more, and nobody is told.
    Hole,
}

impl Break {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..3) {
            0 => Self::Fin,
            1 => Self::Reset,
            _ => Self::Hole,
        }
    }
}

/// When and how a connection breaks.
#[derive(Debug)]
pub(crate) struct BreakPlan {
    /// How many bytes go each way before it breaks.
    pub(crate) up: Option<usize>,
    pub(crate) down: Option<usize>,
    pub(crate) breaks: Break,
    /// How many more bytes our system takes, which never arrive.
    pub(crate) late: usize,
}

pub(crate) struct SimStream {
    inner: Option<DuplexStream>,
    plan: BreakPlan,
    broken: bool,
    /// Where the peer's TCP confirms.
    host: Option<Host>,
    reader: Option<Waker>,
    connection: u64,
    checks: Checks,
    rng: Rng,
}

impl SimStream {
    pub(crate) fn new(
        inner: DuplexStream,
        plan: BreakPlan,
        host: Option<Host>,
        connection: u64,
        checks: Checks,
        rng: Rng,
    ) -> Self {
        Self {
            inner: Some(inner),
            plan,
            broken: false,
            host,
            reader: None,
            connection,
            checks,
            rng,
        }
    }

    fn breaks(&mut self) {
        if self.broken {
            return;
        }
        self.broken = true;
        if let Some(host) = &self.host {
            host.cut();
        }
        if self.plan.breaks != Break::Hole {
            // The peer still gets what is on its way.
            self.inner = None;
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.checks.ends(self.connection);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.plan.down == Some(0) {
            this.breaks();
        }
        let (false, Some(inner)) = (this.broken, &mut this.inner) else {
            return match this.plan.breaks {
                Break::Fin => Poll::Ready(Ok(())),
                Break::Reset => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                Break::Hole => Poll::Pending,
            };
        };
        let most = this.plan.down.unwrap_or(usize::MAX).min(buf.remaining());
        let mut room = [0; 256];
        let most = most.min(room.len());
        let mut part = ReadBuf::new(&mut room[..most]);
        let polled = Pin::new(inner).poll_read(cx, &mut part);
        if polled.is_pending() {
            this.reader = Some(cx.waker().clone());
        }
        buf.put_slice(part.filled());
        if let Some(down) = &mut this.plan.down {
            *down -= part.filled().len();
        }
        polled
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.plan.up == Some(0) {
            this.breaks();
        }
        let (false, Some(inner)) = (this.broken, &mut this.inner) else {
            if this.plan.late > 0 {
                let taken = this.plan.late.min(buf.len());
                this.plan.late -= taken;
                return Poll::Ready(Ok(taken));
            }
            return match this.plan.breaks {
                Break::Hole => Poll::Pending,
                Break::Fin | Break::Reset => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            };
        };
        // Any part of it.
        let most = this
            .rng
            .usize(1..=buf.len())
            .min(this.plan.up.unwrap_or(usize::MAX));
        let polled = Pin::new(inner).poll_write(cx, &buf[..most]);
        if let Poll::Ready(Ok(written)) = polled {
            if let Some(up) = &mut this.plan.up {
                *up -= written;
            }
            if let Some(host) = &mut this.host {
                host.receive(&buf[..written]);
            }
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
