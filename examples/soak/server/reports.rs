//! What the handlers report about a client, to the client itself.

use crate::waiting::woken;
use anyhow::Context;
use hangup::http::GoneReason;
use hangup::{CloseReason, Monitor};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a handler reports.
enum Event {
    Closed(anyhow::Result<CloseReason>),
    ProducerGone(GoneReason),
}

/// The channel to one client.
struct Channel {
    sender: UnboundedSender<Event>,
    /// A task waits for the end of the connection.
    is_watched: bool,
}

/// The channels to the clients, by the numbers that they send in their requests.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    channels: Arc<Mutex<HashMap<u64, Channel>>>,
    next: Arc<AtomicU64>,
}

impl Reports {
    /// Makes the channel to a client.
    pub(crate) fn of_client(&self) -> Report {
        let number = self.next.fetch_add(1, Relaxed);
        let (sender, events) = unbounded_channel();
        let is_watched = false;
        self.change(|channels| channels.insert(number, Channel { sender, is_watched }));
        Report {
            number,
            events,
            reports: self.clone(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<u64, Channel>) -> T) -> T {
        change(&mut self.channels.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request of the client has come. Reports the end of its connection, once.
    pub(crate) fn watch(&self, number: u64, monitor: &Monitor) {
        let sender = self.change(|channels| match channels.entry(number) {
            Entry::Occupied(mut channel) if !channel.get().is_watched => {
                channel.get_mut().is_watched = true;
                Some(channel.get().sender.clone())
            }
            _ => None,
        });
        let Some(sender) = sender else {
            return;
        };
        let closed = monitor.closed();
        tokio::spawn(async move {
            // A connection may last as long as its client wants.
            drop(sender.send(Event::Closed(Ok(closed.await))));
        });
    }

    /// The producer of a response to this client has ended.
    pub(crate) fn producer_gone(&self, number: u64, reason: GoneReason) {
        self.change(|channels| {
            let channel = channels.get(&number);
            channel.map(|channel| channel.sender.send(Event::ProducerGone(reason)))
        });
    }
}

/// What is reported about one client.
pub(crate) struct Report {
    pub(crate) number: u64,
    events: UnboundedReceiver<Event>,
    reports: Reports,
}

impl Report {
    /// Waits for the end of the connection and of `producers`, and returns the reasons.
    pub(crate) async fn end(
        mut self,
        producers: usize,
    ) -> anyhow::Result<(CloseReason, Vec<GoneReason>)> {
        let (mut closed, mut gone) = (None, Vec::new());
        while closed.is_none() || gone.len() < producers {
            let what = match closed {
                None => "the end of a connection",
                Some(_) => "the end of a producer",
            };
            let event = woken(what, self.events.recv()).await?;
            match event.context("nobody reports")? {
                Event::Closed(reason) => closed = Some(reason?),
                Event::ProducerGone(reason) => gone.push(reason),
            }
        }
        Ok((closed.context("no reason")?, gone))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.reports
            .change(|channels| channels.remove(&self.number));
    }
}
