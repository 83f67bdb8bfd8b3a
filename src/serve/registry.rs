//! The connections of a server: counts them, in all and per address, and makes room for the next one.

use super::LimitReason;
use super::connection::{Command, ConnectionState};
use super::prefix::Prefix;
use super::usage::Usage;
use super::victims::Victims;
use crate::state::sync::{Mutex, lock};
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The connections whose socket is open.
#[derive(Default)]
pub(super) struct Registry {
    table: Mutex<Table>,
    /// Notified when the last connection is gone.
    empty: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    connections: HashMap<u64, Arc<ConnectionState>>,
    victims: Victims,
    per_address: HashMap<Prefix, OfAddress>,
}

/// The connections of one address.
#[derive(Default)]
struct OfAddress {
    ids: HashSet<u64>,
    victims: Victims,
    usage: Arc<Usage>,
}

impl Registry {
    /// Adds a connection, or refuses it with `None`.
    ///
    /// At a limit the oldest connection without a request is ended to make room. So connections that are silent or slow
    /// with their head replace each other, and a client that sends its request at once is answered.
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
                let address = table.per_address.entry(prefix).or_default();
                address.ids.insert(id);
                connection.set_address_usage(address.usage.clone());
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

    /// Ends the oldest idle connection, if there is one. Called when there is no descriptor, or no memory, for a new one.
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
        self.per_address
            .get(&prefix)
            .map_or(0, |address| address.ids.len())
    }

    /// Removes the oldest connection without a request, among those of an address or among all.
    fn evict(&mut self, among: Option<Prefix>) -> Option<Arc<ConnectionState>> {
        let now = Instant::now();
        let connections = &self.connections;
        let idle_since = |id: &u64| connections.get(id)?.activity.idle_since();
        let id = match among {
            None => {
                let idle = || {
                    connections
                        .keys()
                        .filter_map(|id| Some((idle_since(id)?, *id)))
                };
                self.victims.next(now, idle, |id| idle_since(&id))
            }
            Some(prefix) => {
                let address = self.per_address.get_mut(&prefix)?;
                let mut victims = mem::take(&mut address.victims);
                let idle = || {
                    address
                        .ids
                        .iter()
                        .filter_map(|id| Some((idle_since(id)?, *id)))
                };
                let id = victims.next(now, idle, |id| idle_since(&id));
                address.victims = victims;
                id
            }
        };
        self.remove(id?)
    }

    /// Removes a connection, and the entry of its address with the last connection of it.
    fn remove(&mut self, id: u64) -> Option<Arc<ConnectionState>> {
        let connection = self.connections.remove(&id)?;
        if let Some(prefix) = connection.prefix()
            && let Some(address) = self.per_address.get_mut(&prefix)
        {
            address.ids.remove(&id);
            if address.ids.is_empty() {
                self.per_address.remove(&prefix);
            }
        }
        Some(connection)
    }
}

/// A connection's entry in the registry. It lives as long as the socket is open.
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
        // Not under the lock: its drop may run code of the program.
        drop(removed);
    }
}
