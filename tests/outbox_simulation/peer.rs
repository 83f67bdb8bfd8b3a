//! The peer's program: it processes messages once each, and replies as it likes.

use crate::checks::Checks;
use crate::message::parse;
use crate::network::Weather;
use fastrand::Rng;
use futures::{SinkExt, StreamExt};
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_util::codec::{Framed, LinesCodec};

/// What confirms a message, in a whole history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirms {
    /// A reply that names messages by their numbers.
    Numbers,
    /// A reply that names messages by ids of their own.
    Ids,
    /// A reply that counts messages.
    Counts,
    /// The acknowledgement of the peer's TCP.
    Tcp,
}

/// How the peer behaves on one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// It replies after so many messages.
    every: u64,
    replies: Replies,
    /// After so many messages it ends so.
    ends: Option<(u64, End)>,
    /// The longest it takes for one message.
    slow: u64,
    /// Now and then it says what means nothing.
    babbles: bool,
    /// It closes when it reads certain messages.
    pub(crate) poisoned: bool,
    /// The longest reply that the outbox takes.
    pub(crate) max_reply: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// Each by its number, in any order.
    Each,
    /// Each by its id, in any order.
    EachId,
    UpTo,
    Counting,
    /// None.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closes,
    /// In the middle of a reply.
    ClosesInReply,
    /// It neither reads nor writes any more.
    Hangs,
    /// What it says next cannot be decoded.
    Corrupt,
    /// What it says next makes the outbox's program panic.
    Breaks,
    /// What it says next has no end.
    Endless,
}

/// How many bytes of a reply the connection and one read hold, at most.
const ON_THE_WAY: usize = 5000 + 256 + PART.len();

/// A reply of so many bytes counts as one without an end.
const ENDLESS: usize = 20_000;

/// A reply without an end, in parts.
const PART: &[u8] = &[b'x'; 100];

impl Manners {
    pub(crate) fn draw(rng: &mut Rng, weather: Weather, confirms: Confirms) -> Self {
        let replies = match (confirms, rng.bool()) {
            (Confirms::Tcp, _) => Replies::Never,
            (Confirms::Counts, _) => Replies::Counting,
            (Confirms::Ids, _) => Replies::EachId,
            (Confirms::Numbers, true) => Replies::Each,
            (Confirms::Numbers, false) => Replies::UpTo,
        };
        if weather != Weather::Foul {
            return Self {
                every: 1,
                replies,
                ends: None,
                slow: 1,
                babbles: false,
                poisoned: false,
                max_reply: 0,
            };
        }
        Self {
            every: rng.u64(1..6),
            replies,
            ends: rng.bool().then(|| {
                let end = match rng.u8(0..12) {
                    0..=2 => End::Closes,
                    3..=5 => End::ClosesInReply,
                    6..=8 => End::Hangs,
                    9 => End::Breaks,
                    10 => End::Endless,
                    _ => End::Corrupt,
                };
                (rng.u64(1..20), end)
            }),
            slow: if rng.bool() { 1 } else { rng.u64(1..700) },
            babbles: rng.bool(),
            poisoned: false,
            max_reply: 0,
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: DuplexStream,
    checks: Checks,
    connection: u64,
    manners: Manners,
    mut rng: Rng,
) {
    let mut lines = Framed::new(stream, LinesCodec::new());
    let mut count = 0;
    let mut owed = Vec::new();
    while let Some(Ok(line)) = lines.next().await {
        let Some((number, note)) = parse(&line) else {
            // Its beginning was cut away with the connection.
            continue;
        };
        tokio::time::sleep(Duration::from_millis(rng.u64(0..manners.slow))).await;
        let by_tcp = manners.replies == Replies::Never;
        if manners.poisoned && note.is_poison() && !by_tcp {
            checks.poisons(connection, note);
            return;
        }
        let names = !by_tcp && manners.replies != Replies::Counting;
        let name = match manners.replies {
            Replies::EachId => note.name(),
            _ => number,
        };
        // Where TCP confirms, the host has it already.
        let accepted = by_tcp || checks.process(connection, number, note, names);
        count += 1;
        let mut replies = Vec::new();
        if accepted {
            owed.push(name);
        } else {
            replies.push(format!("no {name} not wanted"));
        }
        if count % manners.every == 0 {
            match manners.replies {
                Replies::Each | Replies::EachId => {
                    rng.shuffle(&mut owed);
                    replies.extend(owed.drain(..).map(|name| format!("ok {name}")));
                }
                Replies::UpTo => {
                    owed.clear();
                    replies.push(format!("upto {number}"));
                }
                Replies::Counting => replies.push(format!("oldest {}", owed.drain(..).count())),
                Replies::Never => owed.clear(),
            }
        }
        if manners.babbles && rng.u8(0..4) == 0 {
            replies.push(match names {
                true => format!("ok {}", u64::MAX - rng.u64(0..9)),
                false => "hello".to_owned(),
            });
        }
        if !replies.is_empty() {
            checks.spoke(connection);
        }
        let end = manners.ends.filter(|&(after, _)| after == count);
        let end = end.map(|(_, end)| end);
        if end == Some(End::ClosesInReply) {
            let bytes = replies.join("\n").into_bytes();
            // Mostly within the last of them.
            let missing = rng.usize(0..=bytes.len().min(4));
            let part = &bytes[..bytes.len() - missing];
            let _ = lines.get_mut().write_all(part).await;
            return;
        }
        for reply in replies {
            if lines.send(reply).await.is_err() {
                return;
            }
        }
        match end {
            None => {}
            Some(End::Closes | End::ClosesInReply) => return,
            Some(End::Hangs) => pending().await,
            Some(End::Corrupt) => {
                checks.spoke(connection);
                let _ = lines.get_mut().write_all(b"ok \xff\xfe\n").await;
            }
            Some(End::Breaks) => {
                checks.spoke(connection);
                let _ = lines.send("boom 0").await;
            }
            Some(End::Endless) => {
                checks.spoke(connection);
                let mut written = 0;
                while written < ENDLESS && lines.get_mut().write_all(PART).await.is_ok() {
                    written += PART.len();
                    if !by_tcp {
                        checks.endless(written, manners.max_reply + ON_THE_WAY);
                    }
                }
                return;
            }
        }
    }
}
