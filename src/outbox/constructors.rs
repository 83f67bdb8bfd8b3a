//! The constructors of an outbox.

use super::builder::Builder;
use super::connection::Connection;
use super::engine::encode::{Plain, WithEnvelope};
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
    /// * `encoder` makes the encoder of a connection. Each connection gets a new one, so a stateful encoder starts
    ///   together with its counterpart at the peer. If the encoder returns an error for a message, or panics, the outbox
    ///   sets the message aside as [`Unsendable`](super::Unsendable), and sends the others.
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
        Builder::new(connect, move || Box::new(Plain(encoder())))
    }

    /// As [`builder`](Self::builder), with an encoder that sees the [`Envelope`]: the message's number and
    /// the attempt. See [`Confirm::by_number`](super::Confirm::by_number) for an example.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use hangup::outbox::{Envelope, Outbox};
    /// use std::io;
    /// use tokio::io::AsyncReadExt;
    /// use tokio::net::{TcpListener, TcpStream};
    /// use tokio_util::codec::Encoder;
    ///
    /// /// One line for each attempt: its number, the count of attempts, the text.
    /// struct Numbered;
    ///
    /// impl Encoder<Envelope<&'static str>> for Numbered {
    ///     type Error = io::Error;
    ///
    ///     fn encode(&mut self, envelope: Envelope<&str>, bytes: &mut BytesMut) -> io::Result<()> {
    ///         let Envelope { number, attempt, message, .. } = envelope;
    ///         bytes.extend_from_slice(format!("{number}/{attempt} {message}\n").as_bytes());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let connect = move || TcpStream::connect(address);
    /// let outbox = Outbox::builder_with_envelope(connect, || Numbered).spawn()?;
    /// drop(outbox.send("door opened").await?);
    /// let (mut peer, _) = listener.accept().await?;
    /// let mut line = [0; 16];
    /// peer.read_exact(&mut line).await?;
    /// assert_eq!(&line, b"0/1 door opened\n");
    /// # Ok(())
    /// # }
    /// ```
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
        Builder::new(connect, move || Box::new(WithEnvelope(encoder())))
    }
}
