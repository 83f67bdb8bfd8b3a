//! A network in memory: every connection of an outbox ends at the test.

use futures::{SinkExt, StreamExt};
use hangup::MonitoredStream;
use hangup::outbox::{Builder, Confirm, Outbox, Processed};
use std::future::{Ready, ready};
use std::io;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LinesCodec};

/// Where the test accepts connections.
pub(crate) struct Wire(mpsc::UnboundedReceiver<DuplexStream>);

pub(crate) type Lines = Framed<DuplexStream, LinesCodec>;

type Connected = Ready<io::Result<MonitoredStream<DuplexStream>>>;

/// What `connect` of an outbox does, and where its connections end.
pub(crate) fn wire() -> (impl FnMut() -> Connected + Send + 'static, Wire) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let connect = move || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let sent = sender.send(far);
        ready(match sent {
            Ok(()) => Ok(MonitoredStream::unwatched(near)),
            Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
        })
    };
    (connect, Wire(receiver))
}

impl Wire {
    pub(crate) async fn accept(&mut self) -> Lines {
        let stream = self.0.recv().await.expect("the outbox connects");
        Framed::new(stream, LinesCodec::new())
    }

    /// The connections that were made so far.
    pub(crate) fn try_accept(&mut self) -> Option<Lines> {
        let stream = self.0.try_recv().ok()?;
        Some(Framed::new(stream, LinesCodec::new()))
    }
}

/// The next line.
pub(crate) async fn line(lines: &mut Lines) -> String {
    lines.next().await.expect("a line").expect("a line")
}

/// Reads lines and confirms each, until the end.
pub(crate) async fn confirm_all(mut lines: Lines) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(Ok(line)) = lines.next().await {
        let reply = format!("ok {}", first_word(&line));
        seen.push(line);
        if lines.send(reply).await.is_err() {
            break;
        }
    }
    seen
}

pub(crate) fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

/// Messages like "17 door opened"; replies like "ok 17" and "no 17 why".
pub(crate) fn by_reply() -> Confirm<String> {
    Confirm::by_peer(
        |message: &String| first_word(message).parse().unwrap_or(0),
        LinesCodec::new,
        |reply: String| meaning(&reply),
    )
}

pub(crate) fn meaning(reply: &str) -> Option<Processed> {
    match reply.split_once(' ')? {
        ("ok", id) => Some(Processed::One(id.parse().ok()?)),
        ("no", rest) => {
            let (id, why) = rest.split_once(' ')?;
            Some(Processed::Rejected(id.parse().ok()?, why.into()))
        }
        _ => None,
    }
}

/// An outbox of lines that are confirmed by replies, with attempts 10 ms apart.
pub(crate) fn outbox() -> (Builder<String>, Wire) {
    let (connect, wire) = wire();
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(by_reply())
        .backoff(std::iter::repeat(Duration::from_millis(10)));
    (outbox, wire)
}
