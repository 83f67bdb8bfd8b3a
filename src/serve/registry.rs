//! The connections of a server: their number, in all and per address, and the room for the next one.

use super::LimitReason;
use super::connection::{Command, ConnectionState};
use super::prefix::Prefix;
use crate::state::sync::{Mutex, lock};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// The connections whose socket is open.
#[derive(Default)]
pub(super) struct Registry {
    table: Mutex<Table>,
    /// Told when the last connection is gone.
    empty: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    connections: HashMap<u64, Arc<ConnectionState>>,
    per_address: HashMap<Prefix, usize>,
}

impl Registry {
    /// Takes a connection in, or refuses it.
    ///
    /// Where a limit is reached the oldest connection without a request is ended to make room: so silent
    /// connections, and those that dawdle with a head, push each other out, and a client that sends its
    /// request at once is answered.
    pub(super) fn admit(self: &Arc<Self>, connection: &Arc<ConnectionState>) -> Option<Entry> {
        let limits = &connection.server.limits;
        let prefix = connection.prefix();
        let mut table = lock(&self.table);
        let of_address = prefix.map_or(0, |prefix| table.of_address(prefix));
        let full = if of_address >= limits.max_connections_per_address {
            Some((LimitReason::ConnectionsPerAddress, prefix))
        } else if table.connections.len() >= limits.max_connections {
            Some((LimitReason::Connections, None))
        } else {
            None
        };
        let victim = full.map(|(reason, among)| (reason, table.evict(among)));
        let admitted = !matches!(victim, Some((_, None)));
        let entry = admitted.then(|| {
            let id = table.next;
            table.next += 1;
            table.connections.insert(id, connection.clone());
            if let Some(prefix) = prefix {
                *table.per_address.entry(prefix).or_default() += 1;
            }
            Entry {
                registry: self.clone(),
                id,
            }
        });
        drop(table);
        match victim {
            Some((reason, Some(victim))) => {
                victim.limit(reason);
                victim.command(Command::End);
            }
            Some((reason, None)) => connection.limit(reason),
            None => {}
        }
        entry
    }

    /// Ends the oldest connection without a request, if there is one: no descriptor is left.
    pub(super) fn make_room(&self) {
        let victim = lock(&self.table).evict(None);
        if let Some(victim) = victim {
            victim.limit(LimitReason::Connections);
            victim.command(Command::End);
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.table).connections.len()
    }

    /// Calls `f` for each connection.
    pub(super) fn for_each(&self, mut f: impl FnMut(&ConnectionState)) {
        let connections: Vec<_> = lock(&self.table).connections.values().cloned().collect();
        for connection in connections {
            f(&connection);
        }
    }

    /// Resolves when there is no connection.
    pub(super) async fn empty(&self) {
        while self.len() > 0 {
            let emptied = self.empty.notified();
            if self.len() == 0 {
                break;
            }
            emptied.await;
        }
    }
}

impl Table {
    fn of_address(&self, prefix: Prefix) -> usize {
        self.per_address.get(&prefix).copied().unwrap_or(0)
    }

    /// Takes the oldest connection without a request out, among those of an address or among all.
    fn evict(&mut self, among: Option<Prefix>) -> Option<Arc<ConnectionState>> {
        let candidates = self.connections.iter().filter_map(|(id, connection)| {
            let of_address = among.is_none() || connection.prefix() == among;
            let since = connection.activity.idle_since()?;
            of_address.then_some((since, *id))
        });
        let (_, id) = candidates.min()?;
        self.remove(id)
    }

    fn remove(&mut self, id: u64) -> Option<Arc<ConnectionState>> {
        let connection = self.connections.remove(&id)?;
        if let Some(prefix) = connection.prefix()
            && let Some(count) = self.per_address.get_mut(&prefix)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&prefix);
            }
        }
        Some(connection)
    }
}

/// A connection's place in the registry, for as long as its socket is open.
pub(super) struct Entry {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = lock(&self.registry.table);
        let removed = table.remove(self.id);
        if table.connections.is_empty() {
            self.registry.empty.notify_waiters();
        }
        drop(table);
        // Its own drop may be foreign code's.
        drop(removed);
    }
}
