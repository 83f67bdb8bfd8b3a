//! Closing a stream from another task or thread.

use super::handle::Monitor;
use crate::state::{DetectedBy, Event};

impl Monitor {
    /// Closes the stream now, with [`CloseReason::Aborted`](crate::CloseReason::Aborted). Pending calls of the stream are woken and fail with that
    /// reason, and the connection is reset.
    ///
    /// | stream | what happens |
    /// |---|---|
    /// | TCP on Linux | the reset is sent at once and the kernel frees its buffers, although the stream keeps its descriptor until it is dropped |
    /// | TCP on other systems | the reset is sent when the stream is dropped (`SO_LINGER` of zero) |
    /// | Unix socket | both directions are shut down; the peer can still read what has arrived |
    /// | pipe, or a stream without a descriptor | the stream closes on our side only |
    ///
    /// A reset discards data that the kernel has accepted and not sent, and received data that was not read. To
    /// deliver it first, use [`reset_after_delivery`](crate::MonitoredStream::reset_after_delivery). The peer's reads
    /// fail with a reset, and its system may discard data that it has not read. [`transfer`](Self::transfer) reports
    /// how much was acknowledged before the reset.
    ///
    /// If another thread is inside a read or a write of the stream, the reset is sent when that call ends. This method
    /// does not wait for it. It works from any thread and needs no runtime. A stream that is already closed keeps its
    /// reason, and is reset unless it was dropped.
    ///
    /// ```
    /// use hangup::{CloseReason, MonitoredStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let mut stream = MonitoredStream::new(listener.accept().await?.0)?;
    ///
    /// let monitor = stream.monitor();
    /// std::thread::spawn(move || monitor.abort());
    /// let error = loop {
    ///     // The client reads nothing.
    ///     if let Err(error) = stream.write_all(&[0; 65536]).await {
    ///         break error;
    ///     }
    /// };
    /// assert_eq!(CloseReason::from(&error), CloseReason::Aborted);
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        match self.socket() {
            Some(socket) => socket.abort(Event::Aborted, DetectedBy::Us),
            None => self.shared.apply(Event::Aborted, DetectedBy::Us),
        }
    }

    /// Closes the stream as [`abort`](Self::abort) does, but without a reset: the system still delivers what it has
    /// accepted, followed by our FIN.
    pub(crate) fn shut_down(&self) {
        self.shared.apply(Event::Aborted, DetectedBy::Us);
        if let Some(socket) = self.socket() {
            socket.shut_down();
        }
    }

    /// Closes a half-closed stream whose peer has presumably left.
    pub(crate) fn end_half_close(&self) {
        self.shared.observe(Event::HungUp, DetectedBy::HalfClose);
    }
}
