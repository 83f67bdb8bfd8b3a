//! Messages through an outbox on one thread, for a count of the instructions.
//!
//! ```sh
//! bench=$(cargo bench --features outbox --no-run --bench outbox 2>&1 | sed -n 's/.*(\(.*\))$/\1/p')
//! for count in 20000 100000; do
//!     valgrind --tool=callgrind --callgrind-out-file=callgrind.$count "$bench" --count $count
//! done
//! ```
//!
//! The difference of the two, divided by 80 000, is the cost of a message: without the start, and without the kernel.
//! `callgrind_annotate` splits it by function. With `--feed` a sink takes the messages. With `--watched` the status of the
//! outbox has a subscriber, and `strace --summary-only --follow-forks` counts the system calls.

use super::compare::connect;
use super::peer::Peer;
use super::watched::watch;
use bytes::Bytes;
use futures::SinkExt;
use hangup::outbox::Outbox;
use std::error::Error;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio_util::codec::LengthDelimitedCodec;

const SIZE: usize = 100;

/// The number after `--count`, if it is given.
pub(crate) fn wanted() -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--count");
    arguments.nth(1)?.parse().ok()
}

/// Sends so many messages in a task, and waits until all of them are confirmed.
pub(crate) fn send(count: usize) -> Result<(), Box<dyn Error>> {
    let peer = Peer::new()?;
    let address = peer.address();
    let drained = peer.expect((count * (4 + SIZE)) as u64);
    let message = Bytes::from(vec![7; SIZE]);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let outbox =
            Outbox::builder(move || connect(address), LengthDelimitedCodec::new).spawn()?;
        if std::env::args().any(|argument| argument == "--watched") {
            watch(&outbox);
        }
        let feed = std::env::args().any(|argument| argument == "--feed");
        let sends = async move {
            if feed {
                let mut sink = outbox.sink();
                for _ in 0..count {
                    sink.feed(message.clone()).await?;
                }
            } else {
                for _ in 0..count {
                    drop(outbox.send(message.clone()).await?);
                }
            }
            Ok::<_, hangup::outbox::OutboxError<Bytes>>(outbox)
        };
        let outbox = tokio::spawn(sends).await??;
        drained.await?;
        outbox.shutdown(Duration::from_secs(10)).await;
        Ok(())
    })
}
