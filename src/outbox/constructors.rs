//! How an outbox is made: what connects, and what encodes.

use super::builder::{self, Builder};
use super::connection::Connection;
use super::envelope::Envelope;
use super::message::Message;
use super::sender::Outbox;
use std::error::Error;
use std::future::Future;
use std::io;
use tokio_util::codec::Encoder;

impl<T: Message> Outbox<T> {
    /// Configures an outbox.
    ///
    /// * `connect` makes a connection: the first one, and another one after each loss. To try several
    ///   addresses in turn, see [`connect_in_turn`](super::connect_in_turn).
    /// * `encoder` makes the encoder of a connection, a new one each time, so that an encoder with a state
    ///   starts anew together with its counterpart at the peer. A message for which the encoder returns an
    ///   error, or panics, is set aside as [`Unsendable`](super::Unsendable); the others go on.
    ///
    /// ```
    /// use hangup::outbox::Outbox;
    /// use std::net::SocketAddr;
    /// use tokio::net::TcpStream;
    /// use tokio_util::codec::LinesCodec;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let stations: [SocketAddr; 2] = [([127, 0, 0, 1], 9).into(), ([127, 0, 0, 2], 9).into()];
    /// let connect = move || async move { TcpStream::connect(&stations[..]).await };
    /// let outbox = Outbox::<String>::builder(connect, LinesCodec::new).spawn()?;
    /// assert_eq!(outbox.status().queued, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder<F, R, C, E>(
        connect: F,
        mut encoder: impl FnMut() -> E + Send + 'static,
    ) -> Builder<T>
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = io::Result<C>> + Send + 'static,
        C: Into<Connection> + 'static,
        E: Encoder<T> + Send + 'static,
        E::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Builder::new(connect, move || builder::encode(encoder()))
    }

    /// As [`builder`](Self::builder), with an encoder that sees the [`Envelope`]: the message's number and
    /// the attempt. See [`Confirm::by_number`](super::Confirm::by_number) for an example.
    pub fn builder_with_envelope<F, R, C, E>(
        connect: F,
        mut encoder: impl FnMut() -> E + Send + 'static,
    ) -> Builder<T>
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = io::Result<C>> + Send + 'static,
        C: Into<Connection> + 'static,
        E: Encoder<Envelope<T>> + Send + 'static,
        E::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Builder::new(connect, move || builder::encode_envelope(encoder()))
    }
}
