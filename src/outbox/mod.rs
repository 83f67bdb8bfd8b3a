//! A sender whose messages survive the loss of their connection.
//!
//! A robot leaves the range of its Wi-Fi. `write` returned Ok, the kernel held the bytes, the connection
//! broke: which messages arrived? An [`Outbox`] keeps each message until it is confirmed, makes a new
//! connection after a loss, and sends the unconfirmed messages again, in order. Messages that matter only for a
//! while ([`Importance::BestEffort`]) are dropped when their time is over.
//!
//! The protocol is yours: any [`Encoder`](tokio_util::codec::Encoder) makes the bytes, and the outbox adds
//! nothing to them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hangup::outbox::{Confirm, Outbox, Processed};
//! use std::time::Duration;
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
//! let decoder = || LinesCodec::new_with_max_length(80);
//! let meaning = |reply: String| Some(Processed::One(reply.strip_prefix("ok ")?.parse().ok()?));
//! let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
//!     .confirm(Confirm::by_peer(number, decoder, meaning))
//!     .spawn()?;
//!
//! let first = outbox.send("17 door 7 opened".to_string()).await?;
//! let second = outbox.send("18 door 7 closed".to_string()).await?;
//! second.await?;
//! first.await?;
//!
//! let report = outbox.shutdown(Duration::from_secs(10)).await;
//! assert!(report.is_complete());
//! # Ok(())
//! # }
//! ```
//!
//! # What a confirmation promises
//!
//! | | [`Confirm::ByPeer`] | [`Confirm::Acknowledged`] |
//! |---|---|---|
//! | the peer has to | reply with what it has processed | run TCP |
//! | a message is confirmed when | a reply names it | the peer's TCP has acknowledged its last byte |
//! | the link breaks, the peer's program lives and reads on to the end | nothing is lost | nothing is lost |
//! | the peer's program crashes, or closes with messages unread | nothing is lost | what TCP had acknowledged and the program had not read **is lost** |
//! | our program crashes | unconfirmed messages are lost, unless the outbox is [durable](Builder::durable) | the same |
//! | a message arrives twice | if it arrived, and the connection was lost before the reply | the same |
//! | a proxy or load balancer stands between | nothing changes | the proxy's TCP acknowledges |
//! | a TLS 1.3 server refuses the client's certificate after the handshake | nothing is lost | what was sent until then **is lost** |
//! | needs | nothing | Linux, and TCP or TLS over a monitored TCP stream |
//!
//! Both are at-least-once for important messages, under these conditions. No protocol can do better without
//! the peer's help: when the connection breaks before the reply, the sender cannot know whether the message
//! arrived (the two generals' problem). A peer that remembers the ids it has processed and drops repeated ones
//! processes each message exactly once; [`Envelope::number`] is such an id.
//!
//! Confirmations that arrived before a loss still count after it. A message that was written in part is sent again
//! as a whole.
//!
//! `Acknowledged` is the default because any peer can do it. Without replies, in the smallest form:
//!
//! ```
//! # #[cfg(target_os = "linux")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hangup::outbox::{ConfirmedBy, Outbox};
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
//! let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new).spawn()?;
//! let receipt = outbox.send("door 7 opened".to_string()).await?;
//! assert_eq!(receipt.await?.confirmed_by(), ConfirmedBy::Tcp);
//! # outbox.shutdown(std::time::Duration::from_secs(10)).await;
//! # assert_eq!(peer.await??, "door 7 opened\n");
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! # When it reconnects, and when it gives up
//!
//! The outbox connects when it starts, and again whenever the connection is lost, whether or not there is
//! something to send. Any error of `connect`, and any end of a connection, leads to another attempt after the delay of the
//! [back-off](Builder::backoff): a refused or unreachable address, a missing interface, used-up
//! ports, a firewall's refusal, a proxy's odd answer, a reply that cannot be decoded.
//!
//! It gives up only
//!
//! * for an error that says that the program is wrong ([`Builder::give_up_on`]);
//! * after a time without a healthy connection ([`Builder::give_up_after`]), if one is set;
//! * when the back-off ends, if it does.
//!
//! Receipts and senders then report why. [`Outbox::resume`] restarts it, and no message is lost meanwhile.
//!
//! Four limits replace a connection or an attempt that hangs: [`Builder::connect_timeout`] (10 s),
//! [`Builder::dead_peer_timeout`] (30 s), [`Builder::ack_timeout`] (off), and whatever the
//! [`MonitorConfig`](crate::MonitorConfig) of a stream that `connect` monitors itself says.
//! [`Outbox::reconnect_now`] is for a program that knows that the network is back.
//!
//! The back-off starts anew only after a sign of life from the peer's program, or after a connection that
//! lasted: see [`Builder::reset_backoff_after`].
//!
//! # Messages that cannot be sent
//!
//! One message must not stop the others. The outbox sets a message aside when
//!
//! * the encoder refuses it, or panics on it;
//! * it comes from a store, and its record cannot be decoded;
//! * every connection ends while it is sent, and [`Builder::max_attempts`] is set.
//!
//! The receipt reports the reason, [`Builder::on_unsendable`] receives the message ([`Unsendable`]), and a store keeps
//! it as a [`DeadLetter`]. The peer can also [reject](Processed::Rejected) a message.
//!
//! ```
//! use bytes::Bytes;
//! use hangup::outbox::{Confirm, Outbox, Processed, UndeliveredReason};
//! use tokio::net::TcpStream;
//! use tokio_util::codec::LinesCodec;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use futures::{SinkExt, StreamExt};
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     let stream = listener.accept().await.unwrap().0;
//! #     let mut lines = tokio_util::codec::Framed::new(stream, LinesCodec::new());
//! #     while let Some(Ok(line)) = lines.next().await {
//! #         let reply = match line.as_str() { "1 door 99 opened" => "no 1", _ => "ok 2" };
//! #         lines.send(reply).await.unwrap();
//! #     }
//! # });
//! // The peer replies "ok 17", or "no 17" to a message that it can never accept.
//! let id = |message: &String| message.split(' ').next().and_then(|id| id.parse().ok()).unwrap_or(0);
//! let meaning = |reply: String| match reply.split_once(' ')? {
//!     ("ok", id) => Some(Processed::One(id.parse().ok()?)),
//!     ("no", id) => Some(Processed::Rejected(id.parse().ok()?, "unknown door".into())),
//!     _ => None,
//! };
//! let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
//!     .confirm(Confirm::by_peer(id, || LinesCodec::new_with_max_length(80), meaning))
//!     .max_attempts(5) // a message that ends five connections is set aside
//!     .spawn()?;
//! let rejected = outbox.send("1 door 99 opened".to_string()).await?;
//! let accepted = outbox.send("2 door 7 opened".to_string()).await?;
//! accepted.await?; // the rejected one does not block it
//! let error = rejected.await.unwrap_err();
//! assert_eq!(*error.reason(), UndeliveredReason::Rejected("unknown door".into()));
//! # Ok(())
//! # }
//! ```
//!
//! # Which call to send with
//!
//! | the program | call | when there is no room |
//! |---|---|---|
//! | can wait, and slows down with the link | [`Outbox::send`] | waits |
//! | must not wait, in a control loop for instance | [`Outbox::try_send`] | [`RefusedReason::Full`], with the message |
//! | sends values that are worth nothing a second later | [`Outbox::send_with`] [`Importance::BestEffort`] | waits |
//! | has a stream of messages | [`Outbox::sink`] with `StreamExt::forward` | waits |
//! | must keep the newest messages, and may lose old ones | any, with [`Overflow::DropOldest`] | makes room |
//!
//! A program that ignores the outcome drops the [`Receipt`]: the message is still delivered. A program that wants the
//! outcome later collects receipts in a `FuturesUnordered`; each is a handle and a number, without an allocation.
//!
//! # Watching it
//!
//! [`Outbox::status`] returns the counts and the state of the connection; [`Outbox::subscribe`] is a channel of the
//! same values. Two numbers tell an operator whether the link keeps up: [`OutboxStatus::queued`], and the age of the
//! [oldest](OutboxStatus::oldest) message.
//!
//! ```
//! use hangup::outbox::{Link, Outbox};
//! use std::time::Duration;
//! use tokio::net::TcpStream;
//! use tokio_util::codec::LinesCodec;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
//! drop(outbox.send("door 7 opened").await?);
//! let mut states = outbox.subscribe();
//! let status = states.wait_for(|status| matches!(status.link, Link::Retrying { .. })).await?.clone();
//! let alarm = status.oldest.is_some_and(|age| age > Duration::from_secs(60));
//! assert!(!alarm);
//! assert_eq!((status.queued, status.bytes, status.unconfirmed), (1, 13, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # Ending it
//!
//! [`Outbox::shutdown`] accepts nothing more, delivers what it has for the given time, and returns what is left. Call it
//! before the runtime ends: a runtime that is dropped takes the outbox's task with it, and receipts resolve to
//! [`UndeliveredReason::TaskGone`]. A program that only drops its handles gets [`Builder::linger`] instead, and no report.
//! In a durable outbox nothing important is lost in either case; the next start delivers the rest.
//!
//! # Memory
//!
//! [`Builder::capacity`] bounds what is held, in bytes and in messages; [`Builder::overflow`] says what happens
//! beyond it. A queued message takes its own size and about 33 bytes; with ids that do not grow about 60
//! (measured: `cargo bench --features outbox --bench outbox`). In addition there is one batch of encoded bytes: 64 KiB,
//! or one message if it is larger. An incomplete reply may take [`Builder::max_reply`] bytes. The decoder itself must
//! bound what it keeps inside.
//!
//! With `Acknowledged` the kernel has to be asked, immediately after a batch and then after 1 to 50 ms. So a capacity
//! that the network empties within a few milliseconds makes the outbox wait for the next question.
//!
//! # Time
//!
//! All times count with tokio's clock. On Linux that clock stands still while the machine is suspended, so a `ttl`
//! or a delay lasts longer by the time of the suspension.
//!
//! # The task
//!
//! Each outbox has one task, which [`Builder::spawn`] spawns, or which you run ([`Builder::build`]). After
//! the last handle is dropped it goes on delivering for [`Builder::linger`], then it ends. If the task itself is
//! dropped, as by the end of its runtime, receipts and senders report that.
//!
//! # Cancel safety
//!
//! | | dropped before it is ready |
//! |---|---|
//! | [`Outbox::send`], [`Outbox::send_with`] | the message was not accepted, and is dropped; a durable outbox may have accepted it |
//! | [`Receipt`] | the message is still delivered |
//! | [`Outbox::shutdown`] | the outbox stays shut down, and goes on delivering until the deadline |
//!
//! # Comparison to
//!
//! * **Retrying in the caller.** A write that fails says nothing about the writes before it: the kernel accepted them, and
//!   they are lost with the connection. Only a sender that has kept those messages can send them again.
//! * **A stream that reconnects by itself** (stubborn-io and the like) gives the codec a new connection in
//!   the middle of a message, and forgets what the old connection had accepted.
//! * **A message broker** keeps messages for many receivers, and is a program of its own. An outbox is for
//!   one peer, and any protocol.

mod addresses;
mod backoff;
mod builder;
mod confirm;
mod connection;
mod constructors;
mod engine;
mod envelope;
mod give_up;
mod message;
mod overflow;
mod processed;
mod queue;
mod receipt;
mod refused;
mod sender;
mod shutdown;
mod sink;
mod status;
mod store;
mod undelivered;
mod unsendable;
mod user_code;

pub use addresses::{AddressErrors, connect_in_turn};
pub use backoff::{Backoff, BackoffError, Delays};
pub use builder::Builder;
pub use confirm::{ByPeer, Confirm};
pub use connection::Connection;
pub use envelope::Envelope;
pub use give_up::GiveUpReason;
pub use message::{Importance, Message};
pub use overflow::Overflow;
pub use processed::{ConfirmedBy, Processed};
pub use receipt::{Delivered, Receipt};
pub use refused::{NotStoredReason, OutboxError, RefusedReason};
pub use sender::Outbox;
pub use shutdown::ShutdownReport;
pub use sink::OutboxSink;
pub use status::{Link, OutboxStatus};
pub use store::{DeadLetter, Record, Store};
#[cfg(feature = "durable")]
pub use store::{
    DiskStore, Fsync, Salvage, StorageBackend, StoreError, StoreInfo, StoreOptions, StoreProblem,
};
pub use undelivered::{UndeliveredError, UndeliveredReason};
pub use unsendable::{Unsendable, UnsendableAction, UnsendableReason};
