//! A sender whose messages survive the loss of their connection.
//!
//! A robot leaves the range of its Wi-Fi. `write` had returned `Ok`, but the bytes were only in the kernel when the
//! connection broke. Which messages arrived? An [`Outbox`] keeps each message until it is confirmed, reconnects after a
//! loss, and sends the unconfirmed messages again, in order. Messages that are useful only for a short time
//! ([`Importance::BestEffort`]) are dropped when that time is over.
//!
//! It works with any protocol: an [`Encoder`](tokio_util::codec::Encoder) of yours makes the bytes, and the outbox adds
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
//! | the peer has to | reply to what it has processed | run TCP |
//! | a message is confirmed when | a reply names it | the peer's TCP has acknowledged its last byte |
//! | the link breaks, and the peer's program reads what has arrived | nothing is lost | nothing is lost |
//! | the peer's program crashes, or closes with messages unread | nothing is lost | what TCP had acknowledged and the program had not read **is lost** |
//! | our program crashes | unconfirmed messages are lost, unless the outbox is [durable](Builder::durable) | the same |
//! | a message arrives twice | if it arrived, and the connection was lost before the reply | the same |
//! | a proxy or load balancer stands between | nothing changes | the proxy's TCP acknowledges |
//! | a TLS 1.3 server refuses the client's certificate after the handshake | nothing is lost | what was sent until then **is lost** |
//! | needs | nothing | Linux, and TCP or TLS over a monitored TCP stream |
//!
//! Under these conditions both deliver important messages at least once. No protocol can do better without the peer's
//! help: if the connection breaks before the reply, the sender cannot know whether the message arrived (the two
//! generals' problem). To process each message exactly once, the peer has to remember the ids that it has processed and
//! drop repeated ones. [`Envelope::number`] is such an id for important messages.
//!
//! Confirmations that arrived before a loss still count after it. A partly written message is sent again from its start.
//!
//! `Acknowledged` is the default because every peer supports it. The smallest program needs no replies:
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
//! * on an error that means a mistake in the program ([`Builder::give_up_on`]);
//! * after a time without a healthy connection, if one is set ([`Builder::give_up_after`]);
//! * when the back-off ends, if it is finite.
//!
//! Receipts and senders then report why. [`Outbox::resume`] restarts it, and no message is lost meanwhile.
//!
//! Four limits end an attempt or a connection that hangs:
//!
//! | limit | ends | default |
//! |---|---|---|
//! | [`Builder::connect_timeout`] | an attempt to connect | 10 s |
//! | [`Builder::dead_peer_timeout`] | a connection whose peer is unreachable | 30 s |
//! | [`Builder::ack_timeout`] | a connection whose peer confirms nothing | off |
//! | the [`MonitorConfig`](crate::MonitorConfig) of a stream that `connect` monitors itself | as configured | |
//!
//! A program that knows that the network is back calls [`Outbox::reconnect_now`].
//!
//! The back-off starts again from its first delay only after the peer's program has replied, or after a connection has
//! lasted for some time: see [`Builder::reset_backoff_after`].
//!
//! # The other end
//!
//! A peer that confirms has two duties: it replies only after it has processed a message, and it recognizes a message that
//! comes again. Here is a complete one. It loses its first connection between processing and reply, and still processes
//! each message once:
//!
//! ```
//! use futures::{SinkExt, StreamExt};
//! use hangup::outbox::{Confirm, Outbox, Processed};
//! use std::collections::HashSet;
//! use tokio::net::{TcpListener, TcpStream};
//! use tokio_util::codec::{Framed, LinesCodec};
//!
//! /// Serves senders one after the other. Returns what it has processed.
//! async fn station(listener: TcpListener) -> Vec<String> {
//!     let mut seen = HashSet::new(); // a real station keeps it together with its data
//!     let mut processed = Vec::new();
//!     for connection in 0.. {
//!         let (stream, _) = listener.accept().await.unwrap();
//!         let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(1000));
//!         while let Some(Ok(line)) = lines.next().await {
//!             let (id, text) = line.split_once(' ').unwrap();
//!             if seen.insert(id.to_owned()) {
//!                 processed.push(text.to_owned());
//!             }
//!             if connection == 0 {
//!                 break; // the network fails before the reply
//!             }
//!             lines.send(format!("ok {id}")).await.unwrap();
//!             if processed.len() == 2 {
//!                 return processed;
//!             }
//!         }
//!     }
//!     processed
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let station = tokio::spawn(station(listener));
//!
//! let id = |message: &String| message.split(' ').next().and_then(|id| id.parse().ok()).unwrap_or(0);
//! let replies = || LinesCodec::new_with_max_length(80);
//! let meaning = |reply: String| Some(Processed::One(reply.strip_prefix("ok ")?.parse().ok()?));
//! let outbox = Outbox::builder(move || TcpStream::connect(address), LinesCodec::new)
//!     .confirm(Confirm::by_peer(id, replies, meaning))
//!     .spawn()?;
//! let first = outbox.send("1 door 7 opened".to_string()).await?;
//! first.await?;
//! drop(outbox.send("2 door 7 closed".to_string()).await?);
//! assert_eq!(station.await?, ["door 7 opened", "door 7 closed"]);
//! assert_eq!(outbox.status().resent, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Messages that cannot be sent
//!
//! A single bad message must not block the others. The outbox sets a message aside when
//!
//! * the encoder returns an error for it, or panics;
//! * its record in a store cannot be decoded;
//! * every connection ends while it is being sent, and [`Builder::max_attempts`] is set.
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
//! | sends values that are outdated a second later | [`Outbox::send_with`] [`Importance::BestEffort`] | waits until the value is outdated |
//! | has a stream of messages | [`Outbox::sink`] with `StreamExt::forward` | waits |
//! | must keep the newest messages, and may lose old ones | any, with [`Overflow::DropOldest`] | makes room |
//!
//! If the outcome does not matter, drop the [`Receipt`]: the message is still delivered. To learn outcomes later, collect
//! the receipts in a `FuturesUnordered`. A receipt is a handle and a number, without an allocation of its own.
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
//! # Shutting down
//!
//! [`Outbox::shutdown`] refuses new messages, delivers the others for at most the given time, and returns those that are
//! left. Call it before the runtime ends: dropping the runtime drops the outbox's task, and receipts resolve to
//! [`UndeliveredReason::TaskGone`]. A program that only drops its handles gets [`Builder::linger`] instead, and no report.
//! A durable outbox loses no important message in either case: the next start delivers the rest.
//!
//! ```
//! use hangup::outbox::Outbox;
//! use std::time::Duration;
//! use tokio::net::TcpStream;
//! use tokio_util::codec::LinesCodec;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let outbox = Outbox::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new).spawn()?;
//! drop(outbox.send("door 7 opened").await?);
//!
//! // Nobody listens there, so the message is still here when the time is over.
//! let report = outbox.shutdown(Duration::from_millis(10)).await;
//! for message in report.undelivered() {
//!     eprintln!("not delivered: {message}");
//! }
//! assert_eq!(report.undelivered(), ["door 7 opened"]);
//! # Ok(())
//! # }
//! ```
//!
//! # A durable outbox
//!
//! [`Builder::durable`] also keeps important messages in a [`Store`]. `send` then returns when the store has the message,
//! and the next start of the program delivers what is left.
//!
//! | | without a store | with `DiskStore`, `Fsync::Never` | with `DiskStore`, `Fsync::Each` |
//! |---|---|---|---|
//! | `send` waits for | room | a write to the file | `fdatasync(2)`, shared by all that wait |
//! | the program crashes | unconfirmed messages are lost | nothing is lost | nothing is lost |
//! | the power is cut | unconfirmed messages are lost | the file may be damaged | nothing is lost |
//! | more messages than memory has room for | [`Overflow`] | they stay on disk | they stay on disk |
//! | `try_send` of an important message | possible | refused | refused |
//!
//! The program `hangup-store`, a package beside this crate, shows and repairs the file while no outbox has it open.
//!
//! # Testing a program with an outbox
//!
//! `connect` may return any stream, so a test needs no network. With tokio's paused clock (feature `test-util` of tokio) the
//! back-off takes no time. A test for the most important case, a connection that breaks before the reply:
//!
//! ```
//! use futures::{SinkExt, StreamExt};
//! use hangup::MonitoredStream;
//! use hangup::outbox::{Confirm, ConfirmedBy, Outbox, Processed};
//! use std::io::{self, ErrorKind};
//! use tokio::sync::mpsc;
//! use tokio_util::codec::{Framed, LinesCodec};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Each attempt makes a pipe in memory, and gives its other end to the test.
//! let (accept, mut accepted) = mpsc::unbounded_channel();
//! let connect = move || {
//!     let accept = accept.clone();
//!     async move {
//!         let (ours, theirs) = tokio::io::duplex(1024);
//!         accept.send(theirs).map_err(|_| ErrorKind::ConnectionRefused)?;
//!         Ok::<_, io::Error>(MonitoredStream::unwatched(ours))
//!     }
//! };
//! let ok = |reply: String| (reply == "ok").then_some(Processed::Oldest(1));
//! let outbox = Outbox::builder(connect, LinesCodec::new)
//!     .confirm(Confirm::by_number(|| LinesCodec::new_with_max_length(80), ok))
//!     .spawn()?;
//! let receipt = outbox.send("door 7 opened").await?;
//!
//! let mut first = Framed::new(accepted.recv().await.unwrap(), LinesCodec::new());
//! assert_eq!(first.next().await.unwrap()?, "door 7 opened");
//! drop(first); // the connection is lost before the reply
//!
//! let mut second = Framed::new(accepted.recv().await.unwrap(), LinesCodec::new());
//! assert_eq!(second.next().await.unwrap()?, "door 7 opened"); // the same message again
//! second.send("ok").await?;
//! assert_eq!(receipt.await?.confirmed_by(), ConfirmedBy::Reply);
//! assert_eq!(outbox.status().resent, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Memory
//!
//! [`Builder::capacity`] limits the held messages, by bytes and by number, and [`Builder::overflow`] says what happens
//! beyond it. The rest of the memory is:
//!
//! | for | bytes |
//! |---|---|
//! | each queued message, besides its own size | about 33, or 60 if the ids do not grow (measured: `cargo bench --features outbox --bench outbox`) |
//! | the batch that is being written | 64 KiB, or one message if that is larger |
//! | an undelivered message whose receipt is held and was not polled since | its size, beyond the capacity |
//! | an incomplete reply | at most [`Builder::max_reply`]; the decoder must limit what it keeps itself |
//! | a `DiskStore` | about 8 MiB |
//!
//! With `Acknowledged` the outbox has to poll the kernel: immediately after a batch, and then every 1 to 50 ms. If the
//! capacity is so small that the network empties it within a few milliseconds, the outbox waits for the next poll.
//!
//! # Time
//!
//! All times use tokio's clock. On Linux that clock stops while the machine is suspended (`CLOCK_MONOTONIC`,
//! clock_gettime(2)), so a `ttl` or a delay is extended by the time of the suspension. A change of the wall clock
//! changes nothing. A process that is stopped (SIGSTOP) finds all its times over when it continues; what its kernel has received by then
//! counts first.
//!
//! # The task
//!
//! Each outbox has one task, which [`Builder::spawn`] spawns, or which you run ([`Builder::build`]). After
//! the last handle is dropped it continues to deliver for [`Builder::linger`], and then ends. If the task itself is
//! dropped, as by the end of its runtime, receipts and senders report that.
//!
//! # Cancel safety
//!
//! | | dropped before it is ready |
//! |---|---|
//! | [`Outbox::send`], [`Outbox::send_with`] | the message was not accepted, and is dropped; a durable outbox may have accepted it |
//! | [`Receipt`] | the message is still delivered |
//! | [`Outbox::shutdown`] | the outbox stays shut down, and continues to deliver until the deadline |
//!
//! # Comparison to
//!
//! * **Retrying in the caller.** A failed write says nothing about earlier writes. The kernel accepted their bytes, and
//!   loses them with the connection. Only a sender that has kept those messages can send them again.
//! * **A stream that reconnects on its own**, such as stubborn-io. It gives the codec a new connection in the middle of a
//!   message, and forgets what the old connection had accepted.
//! * **A message broker.** It keeps messages for many receivers, and is a separate program. An outbox sends to one peer,
//!   with any protocol. That peer may be a broker: `examples/mqtt.rs` in the repository publishes with MQTT's QoS 1.

mod addresses;
mod backoff;
mod builder;
mod confirm;
mod connection;
mod constructors;
mod engine;
mod envelope;
mod give_up;
#[cfg(feature = "json")]
mod json;
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
#[cfg(feature = "json")]
pub use json::{Json, JsonLines, NumberedJsonLines};
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
