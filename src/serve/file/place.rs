//! The right of a response to have a file open.

use crate::serve::LimitReason;
use crate::serve::connection::ConnectionState;
use std::fmt;
use std::sync::Arc;

/// Counts a file as open until it is dropped.
///
/// An HTTP/1 connection has one file open at most, and the limit of connections leaves a descriptor for it. An HTTP/2
/// connection may have as many as requests, and a client that does not read keeps them open.
pub(super) struct Place {
    connection: Arc<ConnectionState>,
}

impl Place {
    /// `None`: too many files are open. That is reported.
    pub(super) fn take(connection: &Arc<ConnectionState>) -> Option<Self> {
        let limits = &connection.server.limits;
        let in_all = connection.server.usage.files.add(limits.max_files());
        let usage = connection.address_usage();
        let of_address = usage.is_none_or(|it| it.files.add(limits.max_files_per_address()));
        let place = Self {
            connection: connection.clone(),
        };
        if in_all && of_address {
            return Some(place);
        }
        connection.limit(LimitReason::OpenFiles);
        None
    }

    pub(super) fn connection(&self) -> &Arc<ConnectionState> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.server.usage.files.subtract();
        if let Some(usage) = self.connection.address_usage() {
            usage.files.subtract();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
