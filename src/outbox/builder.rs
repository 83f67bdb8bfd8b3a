//! The configuration of an outbox.

use super::engine::driver::Driver;
use super::engine::shared::Shared;
use super::{Backoff, Confirm, Connection, Message, Outbox, Record, Store, failure};
use crate::errors::Classifier;
use crate::timer;
use bytes::{Bytes, BytesMut};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio_util::codec::Encoder;

pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;
pub(crate) type Connect = Box<dyn FnMut() -> Connecting + Send>;
pub(crate) type Encode<T> = Box<dyn FnMut(T, &mut BytesMut) -> io::Result<()> + Send>;
pub(crate) type NewEncoder<T> = Box<dyn FnMut() -> Encode<T> + Send>;
pub(crate) type NewDelays = Box<dyn FnMut() -> Box<dyn Iterator<Item = Duration> + Send> + Send>;

/// The configuration of an [`Outbox`], see [`Outbox::builder`].
pub struct Builder<T: Message> {
    pub(crate) connect: Connect,
    pub(crate) encoder: Option<NewEncoder<T>>,
    pub(crate) confirm: Confirm<T>,
    pub(crate) classifier: Classifier,
    pub(crate) delays: NewDelays,
    pub(crate) bytes: usize,
    pub(crate) count: usize,
    pub(crate) lived: Duration,
    pub(crate) linger: Duration,
    pub(crate) durable: Option<Durable<T>>,
}

/// The store of a durable outbox, and how its messages become bytes and come back.
pub(crate) struct Durable<T> {
    pub(crate) store: Box<dyn Store>,
    pub(crate) to_bytes: fn(&T) -> Bytes,
    pub(crate) from_bytes: fn(Bytes) -> Result<T, Box<dyn Error + Send + Sync>>,
}

impl<T: Message> Builder<T> {
    pub(crate) fn new<F, R, C>(mut connect: F) -> Self
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = io::Result<C>> + Send + 'static,
        C: Into<Connection> + 'static,
    {
        Self {
            connect: Box::new(move || {
                let connecting = connect();
                Box::pin(async move { connecting.await.map(Into::into) })
            }),
            encoder: None,
            confirm: Confirm::Acknowledged,
            classifier: Classifier::new(),
            delays: Box::new(|| Box::new(Backoff::default().into_iter())),
            bytes: 16 * 1024 * 1024,
            count: 65_536,
            lived: Duration::from_secs(10),
            linger: Duration::from_secs(10),
            durable: None,
        }
    }

    /// What makes the bytes of a message: any [`Encoder`]. `new` makes one for each connection, so that
    /// one with a state starts anew, as its counterpart at the peer does.
    ///
    /// A message that the encoder refuses comes back by its receipt
    /// ([`Reason::Refused`](super::Reason::Refused)); the others go on.
    pub fn encoder<E>(mut self, mut new: impl FnMut() -> E + Send + 'static) -> Self
    where
        E: Encoder<T> + Send + 'static,
        E::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.encoder = Some(Box::new(move || {
            let mut encoder = new();
            Box::new(move |message, bytes: &mut BytesMut| {
                encoder
                    .encode(message, bytes)
                    .map_err(|error| failure::io_error(error.into()))
            })
        }));
        self
    }

    /// What counts as a confirmation. [`Confirm::Acknowledged`] by default.
    pub fn confirm(mut self, confirm: Confirm<T>) -> Self {
        self.confirm = confirm;
        self
    }

    /// How much the outbox holds at most: the sizes of its messages in bytes, and their number. 16 MiB and
    /// 65 536 by default. Beyond that [`send`](Outbox::send) waits.
    pub fn capacity(mut self, bytes: usize, count: usize) -> Self {
        self.bytes = bytes;
        self.count = count;
        self
    }

    /// How long to wait before each attempt after a loss; started anew after a connection that
    /// [lived](Self::lived). At its end the outbox gives up. [`Backoff`]'s default by default.
    ///
    /// A delay shorter than a millisecond counts as one. As tokio's timer counts in milliseconds, an attempt
    /// may come up to one millisecond early, rather than late.
    pub fn backoff<B>(mut self, delays: B) -> Self
    where
        B: IntoIterator<Item = Duration> + Clone + Send + 'static,
        B::IntoIter: Send + 'static,
    {
        self.delays = Box::new(move || Box::new(delays.clone().into_iter()));
        self
    }

    /// A connection that was open for so long, or on which something was confirmed, lets the back-off start
    /// anew. 10 s by default.
    pub fn lived(mut self, lived: Duration) -> Self {
        self.lived = lived;
        self
    }

    /// What decides whether an error means another connection or the end. The outbox reconnects where the class
    /// [is the connection's](crate::errors::ErrorClass::is_connection), is
    /// [transient](crate::errors::ErrorClass::is_transient), or is want of
    /// [local resources](crate::errors::ErrorClass::LocalResources), and gives up otherwise.
    ///
    /// A peer that removes the path of its Unix socket when it goes needs a rule: a path that is not there
    /// (`ENOENT`) is misuse otherwise.
    pub fn classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// For how long the outbox goes on delivering after its last handle is dropped. 10 s by default.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Keeps important messages in `store` too, from before [`send`](Outbox::send) is ready until they are
    /// confirmed: what was accepted is delivered though the program dies. What the store has already is
    /// delivered first, in its order. See `DiskStore` (feature `durable`) for
    /// what is promised.
    ///
    /// Messages that come back by a [`shutdown`](Outbox::shutdown), or because the outbox gave up, stay in
    /// the store, and are delivered by the next outbox that has it. Those that the encoder refuses do not.
    pub fn durable(mut self, store: impl Store) -> Self
    where
        T: Record,
    {
        self.durable = Some(Durable {
            store: Box::new(store),
            to_bytes: T::to_bytes,
            from_bytes: T::from_bytes,
        });
        self
    }

    /// Starts the outbox, as a task of the present runtime.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn spawn(self) -> io::Result<Outbox<T>> {
        let (outbox, task) = self.build()?;
        tokio::spawn(task);
        Ok(outbox)
    }

    /// The outbox, and its task, for who wants to run it elsewhere than [`spawn`](Self::spawn) does.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): there is no encoder, or the capacity is zero;
    /// * [`NotConnected`](io::ErrorKind::NotConnected): there is no runtime here;
    /// * [`Unsupported`](io::ErrorKind::Unsupported): the runtime was built without timers;
    /// * [`InvalidData`](io::ErrorKind::InvalidData): the store of a [durable](Self::durable) outbox has a
    ///   message that is none of this type;
    /// * those of the store, and of making its thread.
    pub fn build(mut self) -> io::Result<(Outbox<T>, impl Future<Output = ()> + Send + use<T>)> {
        timer::runtime("an outbox")?;
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let Some(encoder) = self.encoder.take() else {
            return invalid("hangup: an outbox needs an encoder: call `Builder::encoder`");
        };
        if self.bytes == 0 || self.count == 0 {
            return invalid(
                "hangup: an outbox needs room for one message: see `Builder::capacity`",
            );
        }
        let shared = Shared::new(&mut self)?;
        let outbox = Outbox::new(shared.clone());
        Ok((outbox, Driver::new(self, encoder, shared).run()))
    }
}

impl<T: Message> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("confirm", &self.confirm)
            .field("bytes", &self.bytes)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
