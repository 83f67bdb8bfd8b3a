//! A sender whose messages survive the loss of their connection.
//!
//! A robot drives out of its Wi-Fi's reach. `write` said Ok, the kernel held the bytes, the connection
//! died: which messages arrived? An [`Outbox`] keeps each message until it is confirmed, makes a new
//! connection after a loss, and sends again, in order, what was not confirmed. Messages that matter for a
//! while only ([`Importance::BestEffort`]) are dropped when their time is over.
//!
//! The wire is the user's protocol: any [`Encoder`](tokio_util::codec::Encoder) makes the bytes, and
//! nothing is added to them.
//!
//! ```
//! # #[cfg(target_os = "linux")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hangup::outbox::Outbox;
//! use std::time::Duration;
//! use tokio::net::TcpStream;
//! use tokio_util::codec::LinesCodec;
//!
//! # use tokio::io::AsyncReadExt;
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let peer = tokio::spawn(async move {
//! #     let mut lines = String::new();
//! #     listener.accept().await?.0.read_to_string(&mut lines).await?;
//! #     Ok::<_, std::io::Error>(lines)
//! # });
//! // The peer is away now and then.
//! let outbox = Outbox::builder(move || TcpStream::connect(address))
//!     .encoder(LinesCodec::new)
//!     .spawn()?;
//!
//! let receipt = outbox.send("door 7 opened".to_string()).await?;
//! receipt.await?;
//!
//! let report = outbox.shutdown(Duration::from_secs(10)).await;
//! assert!(report.is_complete());
//! # assert_eq!(peer.await??, "door 7 opened\n");
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! # What a confirmation promises
//!
//! | | [`Confirm::Acknowledged`] | [`Confirm::ByPeer`] |
//! |---|---|---|
//! | the peer has to | run TCP | reply with what it has processed |
//! | a message is confirmed when | the peer's TCP has acknowledged its last byte | a reply names it |
//! | the link is cut, the peer's program lives and reads on to the end | nothing is lost | nothing is lost |
//! | the peer's program dies, or closes with messages unread | what TCP had acknowledged and the program had not read **is lost** | nothing is lost |
//! | our program dies | what was not confirmed is lost, unless it is [durable](Builder::durable) | the same |
//! | a message arrives twice | if it arrived, and the connection was lost before that was known | the same; a peer that drops the ids that it has seen has each exactly once |
//! | a proxy stands between | it is the proxy's TCP that acknowledges | nothing changes |
//! | needs | Linux, and TCP or TLS over a monitored TCP stream | nothing |
//!
//! Both are at-least-once for important messages, under these conditions. After a loss what was
//! acknowledged, or replied, before it still counts. A half-sent message is sent again whole.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hangup::outbox::{Confirm, Outbox, Processed};
//! use tokio::net::TcpStream;
//! use tokio_util::codec::LinesCodec;
//!
//! # use futures::{SinkExt, StreamExt};
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     let stream = listener.accept().await.unwrap().0;
//! #     let mut lines = tokio_util::codec::Framed::new(stream, LinesCodec::new());
//! #     while let Some(Ok(line)) = lines.next().await {
//! #         let number = line.split(' ').next().unwrap();
//! #         lines.send(format!("ok {number}")).await.unwrap();
//! #     }
//! # });
//! // Messages like "17 door 7 opened"; replies like "ok 17".
//! let number = |message: &String| {
//!     let number = message.split(' ').next();
//!     number.and_then(|number| number.parse().ok()).unwrap_or(0)
//! };
//! let meaning = |reply: String| Some(Processed::One(reply.strip_prefix("ok ")?.parse().ok()?));
//! let outbox = Outbox::builder(move || TcpStream::connect(address))
//!     .encoder(LinesCodec::new)
//!     .confirm(Confirm::by_peer(number, LinesCodec::new, meaning))
//!     .spawn()?;
//!
//! let first = outbox.send("17 door 7 opened".to_string()).await?;
//! let second = outbox.send("18 door 7 closed".to_string()).await?;
//! second.await?;
//! first.await?;
//! assert_eq!(outbox.snapshot().delivered, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # When it reconnects, and when it gives up
//!
//! The outbox connects at once, and again whenever the connection is lost, whether or not there is
//! something to send. The class of the error decides ([`errors`](crate::errors), with the rules of
//! [`Builder::classifier`]):
//!
//! * a connection error, and want of something of this machine: another attempt, after the delay of the
//!   [back-off](Builder::backoff);
//! * misuse, a missing permission, and what is not known: it gives up. Receipts and senders hear why.
//!
//! A reply that cannot be decoded is of the last kind, as its decoder's error says: the peer speaks
//! another protocol. `connect` has as long as it likes: put a [`timeout`](tokio::time::timeout) around what
//! may hang. A connection that is alive and useless is found by what its
//! [`MonitorConfig`](crate::MonitorConfig) says of stalls and silent death; a peer that reads and never
//! confirms is seen in [`OutboxStatus::oldest`].
//!
//! # Memory
//!
//! What is held is bounded by [`Builder::capacity`], in bytes and in messages; beyond it
//! [`send`](Outbox::send) waits. A queued message takes its own size and about 33 bytes; with ids that do
//! not grow about 60 (measured: `cargo bench --features outbox --bench outbox`). The bytes of a batch,
//! 64 KiB or one message, come to that once. The back-off, the status and the receipts that are polled take
//! nothing that grows with time. The user's decoder has to bound what it keeps of a reply.
//!
//! With `Acknowledged` the kernel has to be asked, at once after a batch and then after 1 to 50 ms: a
//! capacity below what the network takes in a few milliseconds makes it wait.
//!
//! # The task
//!
//! One task for each outbox, spawned by [`Builder::spawn`], or run by the user ([`Builder::build`]). After
//! the drop of the last handle it goes on delivering for [`Builder::linger`], then it ends. If it is
//! dropped, as by the end of its runtime, receipts and senders hear so.
//!
//! # Cancel safety
//!
//! | | dropped before it is ready |
//! |---|---|
//! | [`Outbox::send`], [`Outbox::send_with`] | the message was not taken, and is dropped; of a durable outbox it may have been taken |
//! | [`Receipt`] | the message is delivered all the same |
//! | [`Outbox::shutdown`] | the outbox stays shut down, and goes on delivering for as long as it was given |
//!
//! # Comparison to
//!
//! * **Retrying in the caller.** A write that fails says nothing of the messages before it: they were
//!   accepted by the kernel and are lost with the connection. Only who has kept them can send them again.
//! * **A stream that reconnects by itself** (stubborn-io and its like) gives the codec a new connection in
//!   the middle of a message, and forgets what the old one had accepted.
//! * **A message broker** keeps messages for many receivers, and is a program of its own. An outbox is for
//!   one peer, and any protocol.

mod backoff;
mod buffer;
mod builder;
mod confirm;
mod connection;
mod driver;
mod failure;
mod house;
mod intake;
mod keeper;
mod marks;
mod message;
mod outlet;
mod receipt;
mod sender;
mod session;
mod shared;
mod shutdown;
mod sink;
mod state;
mod status;
mod store;

pub use backoff::{Backoff, Delays, InvalidBackoff};
pub use builder::Builder;
pub use confirm::{ByPeer, Confirm, Processed};
pub use connection::Connection;
pub use failure::{GaveUp, NotKept, Reason, Refusal, SendError, Undelivered};
pub use message::{Importance, Message};
pub use receipt::{Delivered, Receipt};
pub use sender::Outbox;
pub use shutdown::Shutdown;
pub use sink::OutboxSink;
pub use status::{Link, OutboxStatus};
pub use store::{DeadLetter, Record, Store};
#[cfg(feature = "durable")]
pub use store::{
    DiskStore, Fsync, Salvage, StorageBackend, StoreError, StoreInfo, StoreOptions, StoreProblem,
};
