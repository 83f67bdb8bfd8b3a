//! A message as the encoder sees it.

use tokio::time::Instant;

/// A message with its number and its attempt, for an encoder that puts these on the wire. See
/// [`Outbox::builder_with_envelope`](super::Outbox::builder_with_envelope).
///
/// A peer that must process each message once keeps the numbers that it has processed, and drops a repeated one. Messages of
/// one outbox arrive in the order of their numbers on each connection, so the highest number is enough:
///
/// ```
/// /// What the peer does with each message.
/// fn is_new(highest: &mut Option<u64>, number: u64) -> bool {
///     let is_new = highest.is_none_or(|highest| number > highest);
///     if is_new {
///         *highest = Some(number);
///     }
///     is_new
/// }
///
/// let mut highest = None;
/// assert!(is_new(&mut highest, 0));
/// assert!(is_new(&mut highest, 1));
/// // The connection was lost before the reply, so both come again.
/// assert!(!is_new(&mut highest, 0));
/// assert!(!is_new(&mut highest, 1));
/// assert!(is_new(&mut highest, 2));
/// ```
///
/// The peer checks only important messages. A best-effort message is sent once at most, and it is in no store: after a restart a
/// [durable](super::Builder::durable) outbox gives its number to another message. A peer that remembered it would drop that one:
///
/// ```
/// /// What the peer does with each message, if a message says whether it is important.
/// fn is_new(highest: &mut Option<u64>, number: u64, important: bool) -> bool {
///     let is_new = !important || highest.is_none_or(|highest| number > highest);
///     if is_new && important {
///         *highest = Some(number);
///     }
///     is_new
/// }
///
/// let mut highest = None;
/// assert!(is_new(&mut highest, 0, true));
/// assert!(is_new(&mut highest, 1, false));
/// // The program has started anew. The last message that was stored is number 0.
/// assert!(is_new(&mut highest, 1, true));
/// assert!(!is_new(&mut highest, 1, true));
/// ```
///
/// With [priorities](super::Builder::priority) only the messages of one [key](super::Builder::ordering_key) arrive in the order of
/// their numbers: then the peer keeps the highest number of each key.
///
/// A store that is put back from a copy, or with a machine from a snapshot, gives the numbers since then once more. A peer that
/// knows messages by their numbers drops those. So put back only a copy of a store that has not been used since, or let its peer
/// forget the numbers.
///
/// Without a store the numbers start at 0 again in each run of the program, so the peer would drop the first messages of the
/// second run. An encoder that also writes when the run began keeps the runs apart:
///
/// ```
/// use bytes::BytesMut;
/// use hangup::outbox::Envelope;
/// use std::io;
/// use std::time::{SystemTime, UNIX_EPOCH};
/// use tokio_util::codec::Encoder;
///
/// /// Lines like "1764268800123/17 door opened".
/// struct OfOneRun {
///     began: u128,
/// }
///
/// impl Encoder<Envelope<&'static str>> for OfOneRun {
///     type Error = io::Error;
///
///     fn encode(&mut self, envelope: Envelope<&str>, bytes: &mut BytesMut) -> io::Result<()> {
///         let line = format!("{}/{} {}\n", self.began, envelope.number, envelope.message);
///         bytes.extend_from_slice(line.as_bytes());
///         Ok(())
///     }
/// }
///
/// // Once for each run, and the same for all of its connections.
/// let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
/// let encoder = move || OfOneRun { began }; // for `Outbox::builder_with_envelope`
/// assert_eq!(encoder().began, encoder().began);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope<T> {
    /// The number of the message: an idempotency key. It grows from message to message, and each attempt
    /// carries the same one. In a [durable](super::Builder::durable) outbox no two important messages have the same number,
    /// not even after a restart, unless an older copy of the store is put in its place. The number of a best-effort message may come
    /// again after a restart. Without a store numbers start at 0 in every outbox: put something in front of them that tells one
    /// run of the program from the next.
    pub number: u64,
    /// 1 when the message is written for the first time in this outbox, 2 when it is written again. Stays at
    /// 255.
    pub attempt: u32,
    /// When [`send`](super::Outbox::send) accepted the message, by tokio's clock. It is the same in each attempt. For a
    /// message that was only in the store it may be a little too early, see [`OutboxStatus::oldest`](super::OutboxStatus::oldest),
    /// and for one that an earlier outbox has left there, it is the start of this outbox.
    pub first_sent: Instant,
    /// The message.
    pub message: T,
}
