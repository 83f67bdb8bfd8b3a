//! From an error to the reason why the stream is over.

use super::builtin::{self, Verdict};
use super::chain::Chain;
use super::class::ErrorClass;
use super::classify;
use super::close_reason::CloseReason;
use super::failure::Failure;
use std::error::Error;
use std::io::{self, ErrorKind};

/// The reason that the error carries, or else what the error means when a read or a write of a
/// stream fails with it, by the classification of [`errors`](crate::errors).
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
    /// The reason inside an error of any library: it looks through the wrappers of axum, hyper, tungstenite,
    /// tonic and the like, as far as they name their [`source`](Error::source).
    ///
    /// It is the reason that a refused write [carries](Self::carried_by), or else what the first error inside
    /// means that is an error of a connection: an [`io::Error`], or rustls'. `None`: the error is not of a
    /// connection.
    ///
    /// h2, and so hyper and tonic over HTTP/2, keep of an [`io::Error`] only its kind and text. A reason that it
    /// carried becomes the one that fits the kind: `Stalled` becomes `TimedOut`, `Finished` becomes `PeerClosed`.
    /// The [`Monitor`](crate::Monitor) of the connection has the reason itself. The error of h2 itself names no
    /// source: pass what its `into_io` gives.
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

/// The reason that has a name of its own.
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
