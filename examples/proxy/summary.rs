//! What the proxy prints at its end.

use crate::side::Side;
use std::fmt;
use std::io;

/// The two sides of a connection at its end, or why there was no server.
pub(crate) type Ended = io::Result<(Side, Side)>;

/// The connections that have ended.
#[derive(Default)]
pub(crate) struct Summary {
    connections: u64,
    without_server: u64,
    from_clients: u64,
    from_servers: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, ended: Ended) {
        self.connections += 1;
        match ended {
            Ok((client, server)) => {
                self.from_clients += client.transfer.read;
                self.from_servers += server.transfer.read;
            }
            Err(_) => self.without_server += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            without_server,
            from_clients,
            from_servers,
        } = self;
        write!(
            f,
            "{connections} connections, {without_server} without a server; \
             {from_clients} bytes from clients, {from_servers} from servers"
        )
    }
}
