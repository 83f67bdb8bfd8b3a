//! The client or the server of a connection at its end.

use crate::Stream;
use hangup::{CloseReason, Transfer};
use std::fmt;
use std::time::Duration;

/// How long to wait at the end until a side has acknowledged what the other one had sent.
const FINISH: Duration = Duration::from_secs(30);

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

/// Ends the side that stayed in the way in which the other one ended.
pub(crate) async fn see_off(left: Option<CloseReason>, stayed: &mut Stream) {
    match left {
        _ if stayed.is_closed() => {}
        // All of it was delivered: wait until it has arrived. If it does not, the line says how much did.
        Some(CloseReason::PeerClosed | CloseReason::Finished) => {
            let _ = stayed.finish(FINISH).await;
        }
        // A part must not be taken for the whole: deliver what was accepted, and then reset.
        Some(_) => {
            let _ = stayed.reset_after_delivery(FINISH).await;
        }
        None => {}
    }
}
