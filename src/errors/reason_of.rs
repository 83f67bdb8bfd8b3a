//! From an error of a read or a write to the reason why the stream is over.

use super::builtin::Verdict;
use super::class::ErrorClass;
use super::classify;
use super::close_reason::CloseReason;
use super::failure::Failure;
use std::io::{self, ErrorKind};

/// The reason that the error carries, or else what the error means when a read or a write of a
/// stream fails with it, by the classification of [`errors`](crate::errors).
impl From<&io::Error> for CloseReason {
    fn from(error: &io::Error) -> Self {
        if let Some(reason) = Self::carried_by(error) {
            return reason.clone();
        }
        let Verdict { class, kind } = classify::verdict(error);
        match (class, kind) {
            (_, Some(ErrorKind::UnexpectedEof)) => Self::Truncated,
            (ErrorClass::Tls, _) if classify::is_tls_alert(error) => Self::TlsAlert,
            (ErrorClass::Tls, _) => Self::Tls,
            (ErrorClass::Timeout, _) => Self::TimedOut,
            (ErrorClass::Network, _) => Self::Unreachable,
            (ErrorClass::Disconnected, Some(ErrorKind::BrokenPipe)) => Self::PeerClosed,
            (
                ErrorClass::Disconnected,
                Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted),
            ) => Self::Reset,
            _ => Self::Failed(Failure::new(error, class)),
        }
    }
}
