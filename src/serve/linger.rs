//! The end of a connection whose client is still sending.
//!
//! A socket that is closed with unread input, or that gets more of it, resets the connection (RFC 9293, section 3.10.4; RFC
//! 2525, section 2.17), and the reset throws away the response before the client has read it. hyper closes a connection
//! after a response to a request whose body it has not read. So the server shuts only its own direction down, and discards
//! the input until the client closes too (RFC 9112, section 9.6). nginx's `lingering_close` does the same.

use super::LimitReason;
use super::byte_stream::ByteStream;
use super::connection::ConnectionState;
use super::limits::after;
use super::unconstrained::is_due;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

/// How much is discarded at a time.
const BUFFER: usize = 16 << 10;

/// How much is discarded in total. A client that sends more than this usually reads at the same time, and has its
/// response by then.
const MOST: u64 = 256 << 20;

/// The same on HTTP/2. A client that keeps to the protocol stops at the window of the connection, which is hyper's default
/// of 1 MiB and does not open any more; as much again is for its other frames.
const MOST_ON_HTTP2: u64 = 2 << 20;

/// A client that pauses for this long has received the response: otherwise it would continue to send.
const PAUSE: Duration = Duration::from_secs(5);

/// Which version of HTTP the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl Version {
    fn most(self) -> u64 {
        match self {
            Self::Http1 => MOST,
            Self::Http2 => MOST_ON_HTTP2,
        }
    }
}

/// Discards what a client sends after its last response, until it has closed its direction, pauses, or is beyond the limits.
/// Our direction is shut down.
pub(super) async fn linger<T: ByteStream>(
    stream: &mut T,
    connection: &ConnectionState,
    version: Version,
) {
    let mut lingering = None;
    poll_fn(|cx| Linger::poll(&mut lingering, stream, connection, version, cx)).await;
}

struct Linger {
    timer: Pin<Box<Sleep>>,
    end: Instant,
    /// When the last bytes arrived.
    received: Instant,
    discarded: u64,
}

impl Linger {
    fn new(time: Duration) -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep(time.min(PAUSE))),
            end: after(now, time),
            received: now,
            discarded: 0,
        }
    }

    /// `lingering` is there once it has been necessary to wait. A client of HTTP/2 has had all responses before the connection
    /// ends. A client of HTTP/1 that has not sent all of its request may send more although nothing has arrived.
    fn poll<T: ByteStream>(
        lingering: &mut Option<Self>,
        stream: &mut T,
        connection: &ConnectionState,
        version: Version,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let time = connection.server.limits.lingering_time;
        if time.is_zero() {
            return Poll::Ready(());
        }
        let is_incomplete = connection.activity.is_request_incomplete();
        let expected = version == Version::Http1 && is_incomplete;
        loop {
            let mut space = [MaybeUninit::uninit(); BUFFER];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                // Without budget tokio has not looked whether something has arrived. It wakes the task.
                Poll::Pending
                    if has_budget_remaining()
                        && !expected
                        && lingering.as_ref().is_none_or(|this| this.discarded == 0) =>
                {
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    let this = lingering.get_or_insert_with(|| Self::new(time));
                    return this.poll_timer(connection, cx);
                }
            }
            let this = lingering.get_or_insert_with(|| Self::new(time));
            this.received = Instant::now();
            this.discarded += buffer.filled().len() as u64;
            if this.discarded > version.most() || this.received >= this.end {
                connection.limit(LimitReason::Lingering);
                return Poll::Ready(());
            }
        }
    }

    /// Ready when the client has paused, or the time for lingering has passed. Only the second is a limit that is reported.
    fn poll_timer(&mut self, connection: &ConnectionState, cx: &mut Context<'_>) -> Poll<()> {
        while is_due(self.timer.as_mut(), cx) {
            let now = Instant::now();
            let paused = self.received + PAUSE;
            if now >= paused {
                return Poll::Ready(());
            }
            if now >= self.end {
                connection.limit(LimitReason::Lingering);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(paused.min(self.end));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::serve::connection::ServerState;
    use crate::serve::limits::Limits;
    use crate::serve::report::Report;
    use crate::serve::usage::Usage;
    use crate::stream::{MonitoredListener, MonitoredStream};
    use std::io;
    use std::pin::pin;
    use std::sync::Arc;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::coop::consume_budget;

    /// A connection of which nothing is expected any more.
    fn connection<S>(stream: &MonitoredStream<S>) -> ConnectionState {
        let server = ServerState {
            limits: Limits::default(),
            report: Report::default(),
            usage: Usage::default(),
        };
        ConnectionState::new(Arc::new(server), stream.monitor(), None)
    }

    /// A task whose budget is used up is told that it has to wait, whatever has arrived. That was taken for "nothing has
    /// arrived", and the socket was closed with unread input.
    #[cfg_attr(miri, ignore = "sockets")]
    #[tokio::test]
    async fn input_of_a_task_without_budget() {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.write_all(b"more").await.unwrap();
        stream.get_ref().readable().await.unwrap();
        let connection = connection(&stream);
        let mut lingering = Box::pin(linger(&mut stream, &connection, Version::Http1));
        poll_fn(|cx| {
            while has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(cx);
            }
            assert!(lingering.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(client);
        lingering.as_mut().await;
        drop(lingering);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0, "all was read");
    }

    /// A stream whose every read takes all of the task's budget and brings nothing: TLS under a flood of records without data.
    struct Flooded;

    impl AsyncRead for Flooded {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while pin!(consume_budget()).poll(cx).is_ready() {}
            Poll::Pending
        }
    }

    impl AsyncWrite for Flooded {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl ByteStream for Flooded {}

    /// The timer was not looked at as long as the reads took the whole budget, so such a client was lingered for without end.
    #[tokio::test(start_paused = true)]
    async fn a_flood_without_data() {
        let (io, _peer) = tokio::io::duplex(1);
        let stream = MonitoredStream::unwatched(io);
        let connection = connection(&stream);
        let mut flooded = Flooded;
        let lingering = linger(&mut flooded, &connection, Version::Http1);
        let mut lingering = tokio_test::task::spawn(lingering);
        assert!(lingering.poll().is_pending());
        tokio::time::advance(PAUSE).await;
        assert!(lingering.poll().is_ready());
    }
}
