//! The peer of one outbox: takes what comes, replies, and leaves.

use super::journal::Journal;
use super::message::{LONGEST, Note};
use fastrand::Rng;
use futures::{SinkExt, StreamExt};
use hangup::outbox::Processed;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::codec::{Framed, LinesCodec};

/// How the peer leaves a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Closes, after the reply. What it has not read makes that a reset.
    Closes,
    /// Closes between a message and its reply.
    ClosesBeforeReply,
    Resets,
    /// Reads and replies nothing for a while, and then closes.
    Hangs,
    Stays,
}

const LEAVING: [Leaving; 5] = [
    Leaving::Closes,
    Leaving::ClosesBeforeReply,
    Leaving::Resets,
    Leaving::Hangs,
    Leaving::Stays,
];

/// The peer of one outbox.
pub(crate) struct Peer {
    pub(crate) listener: TcpListener,
    pub(crate) journal: Arc<Journal>,
    pub(crate) random: Rng,
}

impl Peer {
    /// Serves one connection after the other. Fails at the first message that is wrong, and never ends otherwise.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            self.serve(stream).await?;
        }
    }

    async fn serve(&mut self, stream: TcpStream) -> anyhow::Result<()> {
        let leaving = LEAVING[self.random.usize(..LEAVING.len())];
        let mut left = match self.random.u8(..8) {
            0 => 0,
            _ => self.random.u64(..300),
        };
        let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(LONGEST as usize));
        while left > 0 || leaving == Leaving::Stays {
            // Any error is the outbox's end of the connection.
            let Some(Ok(line)) = lines.next().await else {
                return Ok(());
            };
            let note = Note::arrived(&line)?;
            self.journal.arrived(note)?;
            left = left.saturating_sub(1);
            if left == 0 && leaving == Leaving::ClosesBeforeReply {
                break;
            }
            // One reply may be for several messages, as long as there are more.
            let replies = lines.read_buffer().is_empty() || self.random.bool();
            if replies && lines.send(reply(note.id)).await.is_err() {
                break;
            }
        }
        match leaving {
            Leaving::Resets => lines.get_ref().set_zero_linger()?,
            Leaving::Hangs => sleep(Duration::from_millis(self.random.u64(..100))).await,
            Leaving::Closes | Leaving::ClosesBeforeReply | Leaving::Stays => {}
        }
        Ok(())
    }
}

/// All messages up to this one have been processed.
fn reply(id: u64) -> String {
    format!("to {id}")
}

/// What a reply means.
pub(crate) fn meaning(reply: String) -> Option<Processed> {
    Some(Processed::UpTo(reply.strip_prefix("to ")?.parse().ok()?))
}
