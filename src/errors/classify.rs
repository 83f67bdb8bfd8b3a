//! The functions that classify an error.

use super::builtin::{self, Verdict};
use super::call::Call;
use super::chain::Chain;
use super::class::ErrorClass;
use super::os_error::OsError;
use super::platform::Platform;
use std::error::Error;
use std::io;

/// What `error` means for a sender.
///
/// ```
/// use hangup::errors::{ErrorClass, classify};
/// use std::io;
///
/// let wrapped = io::Error::other(io::Error::from(io::ErrorKind::HostUnreachable));
/// assert_eq!(classify(&wrapped), ErrorClass::Network);
/// assert_eq!(classify(&io::Error::other("no idea")), ErrorClass::Other);
/// ```
pub fn classify(error: &io::Error) -> ErrorClass {
    // The fast path: an error with an OS code needs no walk through the chain.
    builtin::class_of_io(error).unwrap_or_else(|| classify_error(error))
}

/// What `error` means for a sender. The first error of its chain that says something decides.
///
/// ```
/// use hangup::errors::{ErrorClass, classify_error};
///
/// let error: Box<dyn std::error::Error> = "12a".parse::<u32>().unwrap_err().into();
/// assert_eq!(classify_error(&*error), ErrorClass::Other);
/// ```
pub fn classify_error(error: &(dyn Error + 'static)) -> ErrorClass {
    verdict_of_any(error).class
}

/// What `error` means for a sender, given the call that failed with it.
///
/// The same as [`classify`], except for the errors that [`Call`] names.
///
/// ```
/// use hangup::errors::{Call, ErrorClass, OsError, Platform, classify, classify_call};
/// use std::io;
///
/// # let Some(platform) = Platform::current() else { return };
/// // A local firewall rule: no reason to give up on the peer for good.
/// let denied = OsError::from_name("EACCES", platform).unwrap();
/// let error = io::Error::from_raw_os_error(denied.code());
/// assert_eq!(classify_call(&error, Call::Connect), ErrorClass::Network);
/// assert_eq!(classify(&error), ErrorClass::Permission);
/// ```
pub fn classify_call(error: &io::Error, call: Call) -> ErrorClass {
    judged_by_call(error, call).unwrap_or_else(|| call.adjust(ErrorClass::Other))
}

/// What `code` means for a sender. `code` is what `raw_os_error` gives on `platform`.
///
/// A code that the platform does not have is [`Other`](ErrorClass::Other).
///
/// ```
/// use hangup::errors::{ErrorClass, Platform, classify_os};
///
/// assert_eq!(classify_os(110, Platform::Linux), ErrorClass::Timeout);
/// assert_eq!(classify_os(60, Platform::MacOs), ErrorClass::Timeout);
/// assert_eq!(classify_os(10060, Platform::Windows), ErrorClass::Timeout);
/// assert_eq!(classify_os(10060, Platform::Linux), ErrorClass::Other);
/// ```
pub fn classify_os(code: i32, platform: Platform) -> ErrorClass {
    OsError::from_code(code, platform).map_or(ErrorClass::Other, |error| error.class())
}

/// Whether the connection is at fault, so that the message is worth sending again on a new one.
///
/// The same as [`classify`]`(error).`[`is_connection`](ErrorClass::is_connection)`()`.
///
/// ```
/// use hangup::errors::is_connection_error;
/// use std::io::ErrorKind;
///
/// assert!(is_connection_error(&ErrorKind::BrokenPipe.into()));
/// assert!(!is_connection_error(&ErrorKind::WouldBlock.into()));
/// assert!(!is_connection_error(&ErrorKind::AddrInUse.into()));
/// ```
pub fn is_connection_error(error: &io::Error) -> bool {
    classify(error).is_connection()
}

/// Whether the socket is only not ready yet, so that nothing has failed: wait until it is ready, then try again.
///
/// `false` for an interrupted call: the socket may be ready already, and a task that waits for the next
/// readiness would wait forever. [`ErrorClass::is_transient`] is true for both.
///
/// ```
/// use hangup::errors::is_not_ready;
/// use std::io::ErrorKind;
///
/// assert!(is_not_ready(&ErrorKind::WouldBlock.into()));
/// assert!(!is_not_ready(&ErrorKind::Interrupted.into()));
/// ```
pub fn is_not_ready(error: &io::Error) -> bool {
    classify(error) == ErrorClass::NotReady
}

/// What `error` means, and the kind of the `io::Error` in its chain that decided.
pub(super) fn verdict(error: &io::Error) -> Verdict {
    match builtin::judge_io(error) {
        Some(verdict) => verdict,
        None => verdict_of_any(error),
    }
}

/// Whether `error` is for a TLS alert that the peer sent.
pub(super) fn is_tls_alert(error: &io::Error) -> bool {
    Chain::new(error).any(builtin::is_alert)
}

/// The verdict of the built-in rules, or `None` if they know no error of the chain.
pub(super) fn judged(error: &(dyn Error + 'static)) -> Option<Verdict> {
    Chain::new(error).find_map(builtin::judge)
}

/// Like [`judged`], for an error that `call` returned.
pub(super) fn judged_by_call(error: &io::Error, call: Call) -> Option<ErrorClass> {
    Chain::new(error).find_map(|error| {
        let by_call = error.downcast_ref().and_then(|error| call.judge(error));
        by_call.or_else(|| builtin::judge(error).map(|verdict| call.adjust(verdict.class)))
    })
}

fn verdict_of_any(error: &(dyn Error + 'static)) -> Verdict {
    judged(error).unwrap_or(Verdict {
        class: ErrorClass::Other,
        kind: None,
    })
}
