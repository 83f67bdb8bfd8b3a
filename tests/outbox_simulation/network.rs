//! The network: attempts that fail, and connections that end at any byte.

use crate::checks::Checks;
use crate::peer;
use fastrand::Rng;
use hangup::MonitoredStream;
use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The network of one history.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Inner>>);

struct Inner {
    rng: Rng,
    /// Everything works.
    fine: bool,
    /// Replies count messages instead of naming them.
    counting: bool,
}

/// What happens at the byte at which a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    Fin,
    Reset,
    /// Nothing arrives any more, and nobody is told.
    Hole,
}

/// What becomes of one attempt.
enum Attempt {
    Fails(io::Error),
    Hangs,
    Connects(SimStream, Duration),
}

impl Network {
    pub(crate) fn new(rng: Rng, counting: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng,
            fine: false,
            counting,
        })))
    }

    pub(crate) fn set_fine(&self, fine: bool) {
        self.0.lock().unwrap().fine = fine;
    }

    pub(crate) fn connect(
        &self,
        checks: &Checks,
    ) -> impl Future<Output = io::Result<MonitoredStream<SimStream>>> + Send + use<> {
        let attempt = self.attempt(checks);
        async move {
            match attempt {
                Attempt::Fails(error) => Err(error),
                Attempt::Hangs => pending().await,
                Attempt::Connects(stream, latency) => {
                    tokio::time::sleep(latency).await;
                    Ok(MonitoredStream::unwatched(stream))
                }
            }
        }
    }

    fn attempt(&self, checks: &Checks) -> Attempt {
        let mut inner = self.0.lock().unwrap();
        let (fine, counting) = (inner.fine, inner.counting);
        let rng = &mut inner.rng;
        if !fine {
            match rng.u8(0..10) {
                0..=2 => return Attempt::Fails(error(rng)),
                3 => return Attempt::Hangs,
                _ => {}
            }
        }
        let (near, far) = tokio::io::duplex(rng.usize(1..5000));
        let manners = peer::Manners::draw(rng, fine, counting);
        // A peer that accepts and closes.
        if fine || rng.u8(0..10) > 0 {
            tokio::spawn(peer::serve(far, checks.clone(), manners, rng.fork()));
        }
        let mut left = |most: usize| (!fine && rng.bool()).then(|| rng.usize(0..most));
        let (up, down) = (left(3000), left(200));
        let stream = SimStream {
            inner: Some(near),
            up,
            down,
            breaks: match rng.u8(0..3) {
                0 => Break::Fin,
                1 => Break::Reset,
                _ => Break::Hole,
            },
            broken: false,
            swallowed: 0,
            rng: rng.fork(),
        };
        Attempt::Connects(stream, Duration::from_millis(rng.u64(0..50)))
    }
}

fn error(rng: &mut Rng) -> io::Error {
    match rng.u8(0..6) {
        0 => ErrorKind::ConnectionRefused.into(),
        1 => ErrorKind::NetworkUnreachable.into(),
        2 => ErrorKind::AddrNotAvailable.into(),
        3 => ErrorKind::PermissionDenied.into(),
        4 => ErrorKind::TimedOut.into(),
        _ => io::Error::other("HTTP/1.1 502 Bad Gateway"),
    }
}

/// One connection as the outbox has it.
pub(crate) struct SimStream {
    inner: Option<DuplexStream>,
    /// How many bytes go each way before it breaks.
    up: Option<usize>,
    down: Option<usize>,
    breaks: Break,
    broken: bool,
    /// Bytes that a hole has taken.
    swallowed: usize,
    rng: Rng,
}

impl SimStream {
    fn breaks(&mut self) {
        self.broken = true;
        if self.breaks != Break::Hole {
            // The peer still gets what is on its way.
            self.inner = None;
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.down == Some(0) {
            this.breaks();
        }
        let (false, Some(inner)) = (this.broken, &mut this.inner) else {
            return match this.breaks {
                Break::Fin => Poll::Ready(Ok(())),
                Break::Reset => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                Break::Hole => Poll::Pending,
            };
        };
        let most = this.down.unwrap_or(usize::MAX).min(buf.remaining());
        let mut room = [0; 256];
        let most = most.min(room.len());
        let mut part = ReadBuf::new(&mut room[..most]);
        let polled = Pin::new(inner).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        if let Some(down) = &mut this.down {
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
        if this.up == Some(0) {
            this.breaks();
        }
        let (false, Some(inner)) = (this.broken, &mut this.inner) else {
            return match this.breaks {
                Break::Hole if this.swallowed < 2000 => {
                    this.swallowed += buf.len();
                    Poll::Ready(Ok(buf.len()))
                }
                Break::Hole => Poll::Pending,
                Break::Fin | Break::Reset => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            };
        };
        // Any part of it.
        let most = this
            .rng
            .usize(1..=buf.len())
            .min(this.up.unwrap_or(usize::MAX));
        let polled = Pin::new(inner).poll_write(cx, &buf[..most]);
        if let (Poll::Ready(Ok(written)), Some(up)) = (&polled, &mut this.up) {
            *up -= written;
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
