//! The values that a builder collects.

use super::on_unsendable::OnUnsendable;
use super::ranking::Ranking;
use crate::outbox::backoff::Backoff;
use crate::outbox::connection::Connection;
use crate::outbox::envelope::Envelope;
use crate::outbox::give_up::is_mistake;
use crate::outbox::message::Message;
use crate::outbox::overflow::Overflow;
use crate::outbox::store::Store;
use crate::policy::MonitorConfig;
use bytes::{Bytes, BytesMut};
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// A running call of the user's `connect`.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;
/// The user's `connect`.
pub(crate) type Connect = Box<dyn FnMut() -> Connecting + Send>;
/// The encoder of one connection.
pub(crate) type Encode<T> = Box<dyn FnMut(Envelope<T>, &mut BytesMut) -> io::Result<()> + Send>;
/// Makes the encoder of the next connection.
pub(crate) type NewEncoder<T> = Box<dyn FnMut() -> Encode<T> + Send>;
/// The delays of a back-off.
pub(crate) type Delays = Box<dyn Iterator<Item = Duration> + Send>;
/// Starts the back-off anew.
pub(crate) type NewDelays = Box<dyn FnMut() -> Delays + Send>;
/// The user's rule for errors that another attempt cannot change.
pub(crate) type GiveUpOn = Box<dyn FnMut(&io::Error) -> bool + Send>;

/// [`Record::from_bytes`](crate::outbox::store::Record::from_bytes) of the message type.
pub(crate) type FromBytes<T> = fn(Bytes) -> Result<T, Box<dyn Error + Send + Sync>>;

/// Systems on which keepalive times can be set. On others a default limit would make every connection fail.
const KEEPALIVE: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "dragonfly",
    windows
));

/// Everything that a builder collects, before it is checked.
pub(crate) struct Settings<T: Message> {
    /// The name in metrics and events.
    pub(crate) name: String,
    pub(crate) connect: Connect,
    pub(crate) encoder: NewEncoder<T>,
    pub(crate) max_bytes: usize,
    pub(crate) max_count: usize,
    pub(crate) overflow: Overflow,
    pub(crate) in_flight: usize,
    /// Taken by the start.
    pub(crate) ranking: Ranking<T>,
    pub(crate) delays: NewDelays,
    pub(crate) give_up_on: GiveUpOn,
    pub(crate) limits: Limits,
    pub(crate) dead_peer_timeout: Option<Duration>,
    /// The user's handler. `start` takes it.
    pub(crate) unsendable: Option<OnUnsendable<T>>,
    pub(crate) linger: Duration,
    pub(crate) durable: Option<Durable<T>>,
}

/// Limits of time, of size and of attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) max_reply: usize,
    pub(crate) reset_backoff_after: Duration,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
}

/// The store of a durable outbox, and how its messages are turned into bytes and back.
pub(crate) struct Durable<T> {
    pub(crate) store: Box<dyn Store>,
    pub(crate) calls: StoreCalls,
    pub(crate) to_bytes: fn(&T) -> Bytes,
    pub(crate) from_bytes: FromBytes<T>,
}

/// Where the store is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreCalls {
    OnThread,
    OnTask,
}

impl<T: Message> Settings<T> {
    pub(crate) fn new(connect: Connect, encoder: NewEncoder<T>) -> Self {
        Self {
            name: "outbox".to_owned(),
            connect,
            encoder,
            max_bytes: 16 * 1024 * 1024,
            max_count: 65_536,
            overflow: Overflow::Wait,
            in_flight: usize::MAX,
            ranking: Ranking::new(),
            delays: Box::new(|| Box::new(Backoff::default().into_iter())),
            give_up_on: Box::new(is_mistake),
            limits: Limits {
                connect_timeout: Some(Duration::from_secs(10)),
                ack_timeout: None,
                max_reply: 1024 * 1024,
                reset_backoff_after: Duration::from_secs(10),
                give_up_after: None,
                max_attempts: None,
            },
            dead_peer_timeout: KEEPALIVE.then_some(Duration::from_secs(30)),
            unsendable: None,
            linger: Duration::from_secs(10),
            durable: None,
        }
    }

    /// The configuration for a stream that `connect` returns without a monitor.
    pub(crate) fn monitor_config(&self) -> MonitorConfig {
        MonitorConfig::new().dead_peer_timeout(self.dead_peer_timeout)
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), with the name of the value.
    pub(crate) fn check(&self) -> io::Result<()> {
        let zero = Duration::ZERO;
        let wrong = [
            (
                self.max_bytes == 0 || self.max_count == 0,
                "`capacity` has no room for one message",
            ),
            (self.in_flight == 0, "`in_flight` lets no message be sent"),
            (
                self.ranking.priority.is_some() && self.ranking.key.is_none(),
                "`priority` needs `ordering_key`: without keys all messages keep one order",
            ),
            (
                self.limits.connect_timeout == Some(zero),
                "`connect_timeout` is zero: pass `None` for no limit",
            ),
            (
                self.limits.ack_timeout == Some(zero),
                "`ack_timeout` is zero: pass `None` for no limit",
            ),
            (
                self.limits.give_up_after == Some(zero),
                "`give_up_after` is zero: the outbox would never connect",
            ),
            (
                self.limits.max_attempts == Some(0),
                "`max_attempts` lets no message be sent",
            ),
            (
                self.limits.max_reply == 0,
                "`max_reply` has no room for a reply",
            ),
        ];
        for (is_wrong, what) in wrong {
            if is_wrong {
                let what = format!("hangup: {what}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        self.monitor_config().timers().map(drop)
    }
}
