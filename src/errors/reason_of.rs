//! Converts errors into close reasons.

use super::builtin::{self, Verdict};
use super::chain::Chain;
use super::class::ErrorClass;
use super::classify;
use super::close_reason::CloseReason;
use super::failure::Failure;
use std::error::Error;
use std::io::{self, ErrorKind};

/// The reason that the error carries. For any other error, the reason with which a stream closes when a read or a write
/// fails with it, by the classification of [`errors`](crate::errors).
impl From<&io::Error> for CloseReason {
    fn from(error: &io::Error) -> Self {
        if let Some(reason) = Self::carried_by(error) {
            return reason.clone();
        }
        let verdict = classify::verdict(error);
        named(verdict, || classify::is_tls_alert(error))
            .unwrap_or_else(|| Self::Failed(Failure::new(error, verdict.class)))
    }
}

impl CloseReason {
    /// The close reason inside an error of any library. It looks through the wrappers of axum, hyper, tungstenite, tonic
    /// and others, if they return their [`source`](Error::source).
    ///
    /// If a refused write of a stream is inside, it is the reason that the write [carries](Self::carried_by). Otherwise
    /// it is the reason for the first error inside that an `io::Error` or rustls explains. `None` means that the
    /// error was not caused by a connection.
    ///
    /// h2 keeps only the kind and the text of an [`io::Error`], and so do hyper and tonic over HTTP/2. A carried reason
    /// then becomes the one that fits the kind: `Stalled` becomes `TimedOut`, `Finished` becomes `PeerClosed`. The
    /// [`Monitor`](crate::Monitor) of the connection still has the original reason. h2's own error returns no source:
    /// pass the result of its `into_io` instead.
    ///
    /// ```
    /// use hangup::CloseReason;
    /// use std::io;
    ///
    /// // As axum wraps the error of a body.
    /// let error = axum::Error::new(io::Error::from(CloseReason::Stalled));
    /// assert_eq!(CloseReason::find(&error), Some(CloseReason::Stalled));
    ///
    /// let error = axum::Error::new(io::Error::from(io::ErrorKind::ConnectionReset));
    /// assert_eq!(CloseReason::find(&error), Some(CloseReason::Reset));
    ///
    /// let error = "12a".parse::<u32>().unwrap_err();
    /// assert_eq!(CloseReason::find(&error), None);
    /// ```
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let carried = Chain::new(error).find_map(|error| error.downcast_ref::<Self>());
        if let Some(reason) = carried {
            return Some(reason.clone());
        }
        let (inner, verdict) =
            Chain::new(error).find_map(|error| Some((error, builtin::judge(error)?)))?;
        if !verdict.class.is_connection() {
            return None;
        }
        match inner.downcast_ref::<io::Error>() {
            Some(error) => Some(error.into()),
            None => named(verdict, || Chain::new(inner).any(builtin::is_alert)),
        }
    }
}

/// The named reason for a verdict, if there is one.
fn named(verdict: Verdict, is_tls_alert: impl FnOnce() -> bool) -> Option<CloseReason> {
    let Verdict { class, kind } = verdict;
    Some(match (class, kind) {
        (_, Some(ErrorKind::UnexpectedEof)) => CloseReason::Truncated,
        (ErrorClass::Tls, _) if is_tls_alert() => CloseReason::TlsAlert,
        (ErrorClass::Tls, _) => CloseReason::Tls,
        (ErrorClass::Timeout, _) => CloseReason::TimedOut,
        (ErrorClass::Network, _) => CloseReason::Unreachable,
        (ErrorClass::Disconnected, Some(ErrorKind::BrokenPipe)) => CloseReason::PeerClosed,
        (
            ErrorClass::Disconnected,
            Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted),
        ) => CloseReason::Reset,
        _ => return None,
    })
}
