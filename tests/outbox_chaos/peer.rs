//! The peer: reads the messages, checks each, and replies.

use crate::message::{Mix, verified};
use bytes::{Buf, BytesMut};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

/// How the peer replies, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    None,
    /// To each message, with its id.
    Each,
    /// Now and then, with the last id.
    Batches,
}

/// What both ends of a run know of each other, beside the wire.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// All messages below this id are confirmed, and the outbox has been told.
    pub(crate) confirmed: AtomicU64,
    /// What `confirmed` was when the connections were made, in their order.
    pub(crate) connections: Mutex<VecDeque<u64>>,
    /// The peer has read all important messages below this id.
    pub(crate) processed: AtomicU64,
    /// When the best-effort messages were accepted.
    pub(crate) accepted: Mutex<HashMap<u64, Instant>>,
}

/// How long a message may be under way after it was written: what is written too late is far later.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// What the peer has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: u64,
    /// Those that ended in the middle of a message.
    pub(crate) mid_message: u64,
    /// Important messages that it had read before.
    pub(crate) duplicates: u64,
    pub(crate) best_effort: u64,
    last_best_effort: Option<u64>,
}

pub(crate) struct Peer {
    listener: TcpListener,
    mix: Mix,
    replies: Replies,
    known: Arc<Known>,
    seen: Arc<Mutex<Seen>>,
}

impl Peer {
    pub(crate) async fn bind(mix: Mix, replies: Replies, known: Arc<Known>) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind("127.0.0.1:0").await?,
            mix,
            replies,
            known,
            seen: Arc::default(),
        })
    }

    pub(crate) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    pub(crate) fn seen(&self) -> Arc<Mutex<Seen>> {
        self.seen.clone()
    }

    /// Serves one connection after the other, for ever.
    pub(crate) async fn run(self) -> io::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let confirmed = self.known.connections.lock().unwrap().pop_front();
            let confirmed = confirmed.expect("a connection that nobody has made");
            self.seen.lock().unwrap().connections += 1;
            self.serve(stream, confirmed).await;
        }
    }

    /// Reads until the connection ends, one way or another.
    async fn serve(&self, mut stream: TcpStream, confirmed: u64) {
        let (mut input, mut output) = stream.split();
        let mut codec = LengthDelimitedCodec::new();
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        let (mut last, mut unanswered) = (None, 0);
        while input.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            while let Some(message) = codec.decode(&mut buffer).unwrap() {
                let id = verified(&message);
                self.take(id, last, confirmed);
                last = Some(id);
                unanswered += 1;
                let batch = unanswered == 8 || buffer.is_empty();
                if self.replies == Replies::Each || self.replies == Replies::Batches && batch {
                    unanswered = 0;
                    // A cut shows at the next read as well.
                    let _ = output.write_all(&id.to_be_bytes()).await;
                }
            }
        }
        if !buffer.is_empty() {
            self.seen.lock().unwrap().mid_message += 1;
        }
    }

    /// A message has arrived. `last` is the one before it on this connection, and all below `confirmed`
    /// had been confirmed when the connection was made.
    fn take(&self, id: u64, last: Option<u64>, confirmed: u64) {
        let seen = &mut *self.seen.lock().unwrap();
        assert!(id >= confirmed, "{id} again, though confirmed");
        if let Some(last) = last {
            assert!(id > last, "{id} after {last}");
        }
        if !self.mix.is_important(id) {
            let again = seen.last_best_effort.replace(id) >= Some(id);
            assert!(!again, "{id}, which is best effort, arrived again or late");
            seen.best_effort += 1;
            self.check_time(id);
            return;
        }
        let expected = self.known.processed.load(Ordering::SeqCst);
        assert!(id <= expected, "{id}, but {expected} is missing");
        match id == expected {
            true => {
                let next = self.mix.next_important(id);
                self.known.processed.store(next, Ordering::SeqCst);
            }
            false => seen.duplicates += 1,
        }
        // Nor is one left out that comes again.
        let before = last.map(|last| self.mix.next_important(last));
        let skipped = before.is_some_and(|before| before < id);
        assert!(!skipped, "{id} after {last:?}");
    }

    fn check_time(&self, id: u64) {
        let Mix::Halves(ttl) = self.mix else { return };
        // One that is not there has this moment been accepted.
        if let Some(accepted) = self.known.accepted.lock().unwrap().remove(&id) {
            let age = accepted.elapsed();
            assert!(age <= ttl + UNDER_WAY, "{id} arrived after {age:?}");
        }
    }
}

/// The decoder of the replies.
#[derive(Debug, Default)]
pub(crate) struct Ids;

impl Decoder for Ids {
    type Item = u64;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<u64>> {
        Ok((input.len() >= size_of::<u64>()).then(|| input.get_u64()))
    }

    /// A reply that was cut is none.
    fn decode_eof(&mut self, input: &mut BytesMut) -> io::Result<Option<u64>> {
        self.decode(input)
    }
}
