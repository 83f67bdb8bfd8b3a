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
    /// For a peer whose program hangs while its kernel still acknowledges.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .ack_timeout(Duration::from_secs(5))
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
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
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .max_reply(128)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
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
    /// use hangup::outbox::Outbox;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .max_attempts(5)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
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
    /// use hangup::outbox::{UnsendableAction, Outbox};
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .on_unsendable(|letter| {
    ///         eprintln!("message {}: {}", letter.number(), letter.reason());
    ///         UnsendableAction::Discard
    ///     })
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
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
    /// use hangup::outbox::Outbox;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
    ///     .linger(Duration::ZERO)
    ///     .spawn()?;
    /// outbox.send("door opened").await.unwrap();
    /// assert_eq!(outbox.status().queued, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }
}
