//! Streams without a descriptor, whose transport reports the end by a future.

use super::monitored_stream::MonitoredStream;
use crate::errors::CloseReason;
use crate::state::{DetectedBy, Event};
use crate::watcher::Socket;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

impl<S> MonitoredStream<S> {
    /// Wraps a stream of another transport. The future `signal` reports the end of the peer.
    ///
    /// For QUIC that is `SendStream::stopped` or `Connection::closed`, for an HTTP/2 stream its reset, for a
    /// simulation a channel. When `signal` completes, the stream closes with its reason, and a blocked write is
    /// woken and fails. Reads and writes also report a disconnect, as on an [unwatched](Self::unwatched) stream.
    /// Whichever comes first wins.
    ///
    /// A `signal` of [`PeerClosed`](CloseReason::PeerClosed) after our own shutdown gives
    /// [`Finished`](CloseReason::Finished), as a FIN would.
    ///
    /// A pending read is not woken: it ends when the transport ends it.
    ///
    /// This costs one task per stream, which polls `signal`. The task ends when the stream closes. If `signal` panics, the
    /// stream continues as an unwatched one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (io, _remote) = tokio::io::duplex(64);
    /// let (hang_up, hung_up) = tokio::sync::oneshot::channel();
    /// let signal = async { hung_up.await.unwrap_or(CloseReason::PeerClosed) };
    /// let mut stream = MonitoredStream::with_signal(io, signal);
    ///
    /// stream.write_all(b"heard").await.unwrap();
    /// hang_up.send(CloseReason::Reset).unwrap();
    /// assert_eq!(stream.closed().await, CloseReason::Reset);
    /// let error = stream.write_all(b"refused").await.unwrap_err();
    /// assert_eq!(CloseReason::carried_by(&error), Some(&CloseReason::Reset));
    /// # }
    /// ```
    ///
    /// A stream of QUIC, by quinn. [`SendStream::stopped`] tells of a peer that reads no more, and the connection's own end comes as
    /// its error:
    ///
    /// ```no_run
    /// use hangup::{CloseReason, MonitoredStream};
    /// use quinn::{Connection, RecvStream, SendStream};
    /// use tokio::io::{AsyncWriteExt, Join};
    ///
    /// /// The next stream that the peer opens.
    /// async fn accept(
    ///     connection: &Connection,
    /// ) -> Result<MonitoredStream<Join<RecvStream, SendStream>>, quinn::ConnectionError> {
    ///     let (send, receive) = connection.accept_bi().await?;
    ///     let stopped = send.stopped();
    ///     let signal = async move {
    ///         match stopped.await {
    ///             Ok(Some(_code)) => CloseReason::Reset, // STOP_SENDING (RFC 9000, section 3.5)
    ///             Ok(None) => CloseReason::PeerClosed,   // it has everything, after our `finish`
    ///             Err(_) => CloseReason::PeerClosed,     // the connection is over
    ///         }
    ///     };
    ///     Ok(MonitoredStream::with_signal(tokio::io::join(receive, send), signal))
    /// }
    ///
    /// # async fn example(connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut stream = accept(&connection).await?;
    /// let monitor = stream.monitor();
    /// let rows = async { stream.write_all(b"rows").await };
    /// if let Err(error) = monitor.run_io(rows).await {
    ///     println!("stopped: {error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`SendStream::stopped`]: https://docs.rs/quinn/latest/quinn/struct.SendStream.html#method.stopped
    pub fn with_signal<F>(io: S, signal: F) -> Self
    where
        F: Future<Output = CloseReason> + Send + 'static,
    {
        let stream = Self::unwatched(io);
        let mut ends = EndsWithRuntime {
            shared: stream.link.shared.clone(),
            is_polling: false,
        };
        let closed = stream.closed();
        tokio::spawn(async move {
            let (mut signal, mut closed) = (pin!(signal), pin!(closed));
            let reason = poll_fn(|cx| match closed.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => ends.poll(signal.as_mut(), cx).map(Some),
            });
            if let Some(reason) = reason.await {
                let event = match reason {
                    CloseReason::PeerClosed => Event::HungUp,
                    reason => Event::Failed(reason),
                };
                ends.shared.observe(event, DetectedBy::Signal);
            }
        });
        stream
    }
}

/// Closes the stream if its task is dropped before the signal has come: that is, with its runtime.
struct EndsWithRuntime {
    shared: Arc<Socket>,
    is_polling: bool,
}

impl EndsWithRuntime {
    fn poll<F: Future>(&mut self, signal: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.is_polling = true;
        let polled = signal.poll(cx);
        self.is_polling = false;
        polled
    }
}

impl Drop for EndsWithRuntime {
    fn drop(&mut self) {
        // After a panic of the signal the stream continues as an unwatched one.
        if !self.is_polling {
            self.shared.apply(Event::RuntimeShutdown, DetectedBy::Us);
        }
    }
}
