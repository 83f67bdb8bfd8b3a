//! Limits for peers and messages that make no progress, and the end of the outbox.

use super::Builder;
use crate::outbox::engine::on_unsendable::OnUnsendable;
use crate::outbox::message::Message;
use crate::outbox::unsendable::{Unsendable, UnsendableAction};
use std::time::Duration;

impl<T: Message> Builder<T> {
    /// Replaces a connection that has unconfirmed messages if nothing was written or confirmed for this long. Default: no
    /// limit. [`spawn`](Self::spawn) refuses zero.
    ///
    /// For a peer whose program hangs while its kernel still acknowledges. That kernel takes new messages too, and each one
    /// starts the time anew. So a program that sends more often than this also sets [`in_flight`](Self::in_flight): when so
    /// many messages are unconfirmed, nothing more is written, and the time runs out.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Confirm, Outbox, Processed};
    /// use std::time::Duration;
    /// use tokio::io::AsyncReadExt;
    /// use tokio::sync::mpsc;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Each attempt makes a pipe in memory, and gives the peer's end to this program.
    /// let (accept, mut accepted) = mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let (ours, theirs) = tokio::io::duplex(1024);
    ///     let _ = accept.send(theirs);
    ///     async { Ok::<_, std::io::Error>(MonitoredStream::unwatched(ours)) }
    /// };
    /// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    /// let outbox = Outbox::builder(connect, LinesCodec::new)
    ///     .confirm(Confirm::by_number(LinesCodec::new, ok))
    ///     .ack_timeout(Duration::from_secs(5))
    ///     .spawn()?;
    /// drop(outbox.send("door opened").await?);
    /// let _hangs = accepted.recv().await.unwrap(); // open, and it never replies
    /// let mut second = accepted.recv().await.unwrap();
    /// let mut line = [0; 12];
    /// second.read_exact(&mut line).await?;
    /// assert_eq!(&line, b"door opened\n"); // the same message, on a new connection
    /// # Ok(())
    /// # }
    /// ```
    pub fn ack_timeout(mut self, within: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.ack_timeout = within.into();
        self
    }

    /// The largest size of an incomplete reply, in bytes. Default: 1 MiB. A longer reply ends the connection. Bytes that
    /// the decoder keeps itself do not count.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Confirm, Outbox, Processed};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::sync::mpsc;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Each attempt makes a pipe in memory, and gives the peer's end to this program.
    /// let (accept, mut accepted) = mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let (ours, theirs) = tokio::io::duplex(1024);
    ///     let _ = accept.send(theirs);
    ///     async { Ok::<_, std::io::Error>(MonitoredStream::unwatched(ours)) }
    /// };
    /// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
    ///     .confirm(Confirm::by_number(LinesCodec::new, ok)) // a decoder without a limit of its own
    ///     .max_reply(128)
    ///     .spawn()?;
    /// let mut first = accepted.recv().await.unwrap();
    /// first.write_all(&[b'x'; 200]).await?; // a reply without an end
    /// assert_eq!(first.read(&mut [0]).await?, 0); // the outbox has closed the connection
    /// let _second = accepted.recv().await.unwrap();
    /// # drop(outbox);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.settings.limits.max_reply = bytes;
        self
    }

    /// Sets a message aside as [`Unsendable`] after this many connections have ended while it was the only
    /// unconfirmed one. Default: no limit. Then a message on which the peer always closes blocks all later messages.
    ///
    /// If two connections in a row end with the same message as the oldest unconfirmed one, the next connection carries
    /// that message alone, so that no other message is blamed. The peer must therefore confirm a message without waiting
    /// for more. Connections that ended because of the network do not count. [`spawn`](Self::spawn) refuses zero.
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use hangup::MonitoredStream;
    /// use hangup::outbox::{Confirm, Outbox, Processed, UndeliveredReason};
    /// use tokio::sync::mpsc;
    /// use tokio_util::codec::{Framed, LinesCodec};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Each attempt makes a pipe in memory, and gives the peer's end to this program.
    /// let (accept, mut accepted) = mpsc::unbounded_channel();
    /// let connect = move || {
    ///     let (ours, theirs) = tokio::io::duplex(1024);
    ///     let _ = accept.send(theirs);
    ///     async { Ok::<_, std::io::Error>(MonitoredStream::unwatched(ours)) }
    /// };
    /// // A peer with a fault: it closes the connection when it reads of door 99.
    /// tokio::spawn(async move {
    ///     while let Some(peer) = accepted.recv().await {
    ///         let mut lines = Framed::new(peer, LinesCodec::new());
    ///         while let Some(Ok(line)) = lines.next().await {
    ///             if line == "door 99 opened" || lines.send("ok").await.is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     }
    /// });
    /// let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
    /// let outbox = Outbox::builder(connect, LinesCodec::new)
    ///     .confirm(Confirm::by_number(LinesCodec::new, ok))
    ///     .max_attempts(3)
    ///     .spawn()?;
    /// let bad = outbox.send("door 99 opened").await?;
    /// let good = outbox.send("door 7 opened").await?;
    /// good.await?; // the bad message blocks it no longer
    /// assert_eq!(*bad.await.unwrap_err().reason(), UndeliveredReason::TooManyAttempts(3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.limits.max_attempts = Some(attempts);
        self
    }

    /// Sets a handler for messages that cannot be sent, see [`Unsendable`]. It decides whether the store keeps the
    /// message. Default: the store keeps it as a dead letter.
    /// [`OutboxStatus::unsendable`](crate::outbox::OutboxStatus::unsendable) counts these messages.
    ///
    /// The handler is called by [`spawn`](Self::spawn), by the outbox's task, and by the thread that calls the
    /// store. It must not block.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UnsendableAction};
    /// use std::io::{self, ErrorKind};
    /// use std::sync::mpsc;
    /// use tokio::net::{TcpListener, TcpStream};
    /// use tokio_util::bytes::BytesMut;
    /// use tokio_util::codec::Encoder;
    ///
    /// /// Sends text in ASCII alone.
    /// struct Ascii;
    ///
    /// impl Encoder<&'static str> for Ascii {
    ///     type Error = io::Error;
    ///
    ///     fn encode(&mut self, text: &'static str, bytes: &mut BytesMut) -> io::Result<()> {
    ///         if !text.is_ascii() {
    ///             return Err(io::Error::new(ErrorKind::InvalidData, "the text is not in ASCII"));
    ///         }
    ///         bytes.extend_from_slice(text.as_bytes());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let (log, lines) = mpsc::channel();
    /// let outbox = Outbox::builder(move || TcpStream::connect(address), || Ascii)
    ///     .on_unsendable(move |letter| {
    ///         let _ = log.send(format!("message {}: {}", letter.number(), letter.reason()));
    ///         UnsendableAction::Discard
    ///     })
    ///     .spawn()?;
    /// assert!(outbox.send("Tür 7 offen").await?.await.is_err());
    /// assert_eq!(lines.recv()?, "message 0: the encoder failed: the text is not in ASCII");
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_unsendable(
        mut self,
        handler: impl FnMut(Unsendable<T>) -> UnsendableAction + Send + 'static,
    ) -> Self {
        self.settings.unsendable = Some(OnUnsendable(Box::new(handler)));
        self
    }

    /// How long the outbox continues to deliver after its last handle is dropped. Default: 10 s.
    ///
    /// ```
    /// use hangup::outbox::{Outbox, UndeliveredReason};
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio::time::Instant;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let away = || async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) };
    /// let outbox = Outbox::builder(away, LinesCodec::new).linger(Duration::from_secs(3)).spawn()?;
    /// let receipt = outbox.send("door opened").await?;
    /// drop(outbox); // the last handle: from here on the outbox has three seconds
    /// let began = Instant::now();
    /// let error = receipt.await.unwrap_err();
    /// assert_eq!(*error.reason(), UndeliveredReason::ShutDown);
    /// assert_eq!(began.elapsed().as_secs_f64().round(), 3.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }
}
