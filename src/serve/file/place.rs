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
        let maxima = (limits.max_files(), limits.max_files_per_address());
        let within = connection.add_use(|usage| &usage.files, maxima);
        let place = Self {
            connection: connection.clone(),
        };
        if within == (true, true) {
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
        self.connection.subtract_use(|usage| &usage.files);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
