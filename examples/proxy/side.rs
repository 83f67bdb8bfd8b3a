//! The client or the server of a connection at its end.

use crate::Stream;
use hangup::{CloseReason, Transfer};
use std::fmt;

/// The client or the server.
pub(crate) struct Side {
    pub(crate) transfer: Transfer,
    /// `None` if the proxy ended it.
    reason: Option<CloseReason>,
}

impl Side {
    pub(crate) fn of(stream: &Stream) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transfer { read, accepted, .. } = self.transfer;
        write!(f, "{read} bytes from it, {accepted} accepted, ")?;
        match self.transfer.acknowledged {
            Some(bytes) => write!(f, "{bytes} acknowledged, ")?,
            None => f.write_str("acknowledged unknown, ")?,
        }
        match &self.reason {
            Some(reason) => write!(f, "{reason}"),
            None => f.write_str("ended by the proxy"),
        }
    }
}
