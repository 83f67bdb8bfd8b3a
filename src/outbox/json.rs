//! Messages as JSON.

use super::envelope::Envelope;
use super::message::Message;
use super::store::Record;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::codec::Encoder;

/// Any serde value as a message: it is a [`Message`], a [`Record`] for a store, and [`JsonLines`] writes it.
///
/// [`new`](Self::new) serializes the value once. A clone shares the value and its JSON, so another attempt to send it
/// costs only a copy into the send buffer.
///
/// ```
/// use hangup::outbox::{Json, JsonLines, Message, Outbox};
/// use serde::{Deserialize, Serialize};
/// use tokio::net::TcpStream;
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Reading {
///     sensor: String,
///     celsius: f64,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), JsonLines::new).spawn()?;
/// let reading = Json::new(Reading { sensor: "hall".into(), celsius: 21.5 })?;
/// assert_eq!(reading.json(), br#"{"sensor":"hall","celsius":21.5}"#);
/// assert_eq!(reading.size(), 32);
/// drop(outbox.send(reading).await.unwrap());
/// assert_eq!(outbox.status().queued, 1);
/// # Ok(())
/// # }
/// ```
pub struct Json<T> {
    value: Arc<T>,
    json: Bytes,
}

impl<T: Serialize> Json<T> {
    /// The message of `value`.
    ///
    /// # Errors
    ///
    /// The errors of serde_json, if `value` cannot be written as JSON. An example is a map whose keys are not strings.
    ///
    /// ```
    /// use hangup::outbox::Json;
    /// use std::collections::HashMap;
    ///
    /// assert_eq!(Json::new([1, 2])?.json(), b"[1,2]");
    /// let keys_that_are_no_strings = HashMap::from([((1, 2), 3)]);
    /// assert!(Json::new(keys_that_are_no_strings).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(value: T) -> io::Result<Self> {
        let json = on_one_line(serde_json::to_vec(&value)?.into());
        Ok(Self {
            value: Arc::new(value),
            json,
        })
    }
}

impl<T> Json<T> {
    /// The JSON, without a line feed.
    ///
    /// ```
    /// use hangup::outbox::Json;
    ///
    /// assert_eq!(Json::new("a\nb")?.json(), br#""a\nb""#);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            json: self.json.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Json").field(&self.value).finish()
    }
}

impl<T: Send + Sync + 'static> Message for Json<T> {
    fn size(&self) -> usize {
        self.json.len()
    }
}

impl<T: DeserializeOwned> Record for Json<T> {
    fn to_bytes(&self) -> Bytes {
        self.json.clone()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self {
            value: Arc::new(serde_json::from_slice(&bytes)?),
            json: on_one_line(bytes),
        })
    }
}

/// Replaces line breaks, which JSON has only between its tokens, by spaces.
///
/// serde_json writes none. They come from a record that another type or program has stored, and from a value that carries
/// JSON of its own, such as serde_json's `RawValue`.
fn on_one_line(json: Bytes) -> Bytes {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !json.iter().any(is_break) {
        return json;
    }
    let mut line = Vec::from(json);
    for byte in line.iter_mut().filter(|byte| is_break(byte)) {
        *byte = b' ';
    }
    line.into()
}

/// Writes each [`Json`] message as a line: the format of NDJSON and JSON Lines. The JSON itself has no line feed.
///
/// ```
/// use bytes::BytesMut;
/// use hangup::outbox::{Json, JsonLines};
/// use tokio_util::codec::Encoder;
///
/// let mut line = BytesMut::new();
/// JsonLines::new().encode(Json::new([1, 2])?, &mut line)?;
/// assert_eq!(line, "[1,2]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct JsonLines;

impl JsonLines {
    /// The encoder: for [`Outbox::builder`](super::Outbox::builder).
    ///
    /// ```
    /// use hangup::outbox::JsonLines;
    ///
    /// assert_eq!(format!("{:?}", JsonLines::new()), "JsonLines");
    /// ```
    pub fn new() -> Self {
        Self
    }
}

impl<T> Encoder<Json<T>> for JsonLines {
    type Error = io::Error;

    fn encode(&mut self, message: Json<T>, line: &mut BytesMut) -> io::Result<()> {
        line.reserve(message.json.len() + 1);
        line.put_slice(&message.json);
        line.put_u8(b'\n');
        Ok(())
    }
}

/// Writes each [`Json`] message as a line with its number: `{"number":17,"message":…}`. It is for
/// [`Outbox::builder_with_envelope`](super::Outbox::builder_with_envelope).
///
/// The number is the idempotency key of [`Envelope`]: the peer drops an important message whose number it has processed. A peer that replies
/// with the number confirms the message by [`Confirm::by_number`](super::Confirm::by_number).
///
/// ```
/// use hangup::outbox::{Confirm, Json, NumberedJsonLines, Outbox, Processed};
/// use std::time::Duration;
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let outbox = Outbox::builder_with_envelope(move || TcpStream::connect(address), NumberedJsonLines::new)
///     .confirm(Confirm::by_number(LinesCodec::new, |line| Some(Processed::One(line.parse().ok()?))))
///     .spawn()?;
/// let receipt = outbox.send(Json::new("door opened")?).await?;
///
/// let (peer, _) = listener.accept().await?;
/// let mut peer = BufReader::new(peer);
/// let mut line = String::new();
/// peer.read_line(&mut line).await?;
/// assert_eq!(line, "{\"number\":0,\"message\":\"door opened\"}\n");
/// peer.write_all(b"0\n").await?;
/// receipt.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NumberedJsonLines;

impl NumberedJsonLines {
    /// The encoder.
    ///
    /// ```
    /// use hangup::outbox::NumberedJsonLines;
    ///
    /// assert_eq!(format!("{:?}", NumberedJsonLines::new()), "NumberedJsonLines");
    /// ```
    pub fn new() -> Self {
        Self
    }
}

impl<T> Encoder<Envelope<Json<T>>> for NumberedJsonLines {
    type Error = io::Error;

    fn encode(&mut self, envelope: Envelope<Json<T>>, line: &mut BytesMut) -> io::Result<()> {
        let Envelope {
            number, message, ..
        } = envelope;
        let head = format!("{{\"number\":{number},\"message\":");
        line.reserve(head.len() + message.json.len() + 2);
        line.put_slice(head.as_bytes());
        line.put_slice(&message.json);
        line.put_slice(b"}\n");
        Ok(())
    }
}
