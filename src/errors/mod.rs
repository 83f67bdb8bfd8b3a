//! Which errors mean the connection: from any error to what it means for a sender.
//!
//! A sender that fails has one question: is the message to be sent again on a new connection, is the
//! call to be made again on this one, or is it a bug? [`classify`] answers it for an [`io::Error`],
//! [`classify_error`] for any error; the [`ErrorClass`] says what to do.
//!
//! ```
//! use hangup::errors::{classify, is_connection_error, is_not_ready};
//! use std::io;
//!
//! fn after(error: io::Error) -> &'static str {
//!     if is_not_ready(&error) {
//!         "wait"
//!     } else if is_connection_error(&error) {
//!         "reconnect and send again"
//!     } else {
//!         "give up"
//!     }
//! }
//!
//! assert_eq!(after(io::ErrorKind::WouldBlock.into()), "wait");
//! assert_eq!(after(io::ErrorKind::BrokenPipe.into()), "reconnect and send again");
//! assert_eq!(after(io::ErrorKind::PermissionDenied.into()), "give up");
//! ```
//!
//! # How an error is read
//!
//! From the outside in: the first error of the chain that says something decides. Besides
//! [`source`](Error::source) the chain has the payload of an [`io::Error`] and the error in a `Box` or
//! an `Arc`, which `source` skips.
//!
//! * An [`io::Error`] with an OS code: by this platform's table ([`classify_os`]); a code that it does
//!   not have, by the kind that std gives it.
//! * One without a code: by its [`kind`](io::Error::kind). `Other` and `InvalidData` say nothing by
//!   themselves: the errors inside are asked.
//! * A [`CloseReason`](crate::CloseReason): its [`class`](crate::CloseReason::class).
//! * tokio's `Elapsed`: a timeout.
//! * **A name that does not resolve.** On Unix std gives no code and a kind that cannot be named, with
//!   `getaddrinfo`'s words behind "failed to lookup address information": that beginning is what is
//!   looked for. Whatever made the look-up fail, out of memory too, is
//!   [`Resolution`](ErrorClass::Resolution) then. Where the look-up failed for want of something of the
//!   system (`EAI_SYSTEM`), std gives the `errno` instead, and on Windows the code
//!   (`WSAHOST_NOT_FOUND`): the table says.
//! * **rustls**, without depending on it: by the name of the error's variant, as its `Debug` prints it.
//!   The names that another library may use too count only within an `io::Error` of kind `InvalidData`,
//!   which is how tokio-rustls gives them. An input that ends without close_notify is known by the
//!   beginning of its message.
//!
//! # What it cannot know
//!
//! * An error that keeps what is inside it to itself: no `source`, as with h2's own errors outside of
//!   hyper, or thiserror's `transparent` around an `io::Error`, which passes on the source and hides the
//!   error.
//! * An error with which a library tells of something that no system call told it: hyper's when the
//!   peer's FIN came before the answer (`is_incomplete_message`), reqwest's when its own timer ran out
//!   (`is_timeout`).
//! * `rustls::Error`'s `General` and `Other`, and other TLS libraries, but for Schannel's codes on
//!   Windows.
//! * Where a code came from: `ENOSPC` of a file and of a socket are the same.
//! * That the timer of [`set_read_timeout`](std::net::TcpStream::set_read_timeout) ran out: on Unix that
//!   is `EAGAIN`, as of a socket without data, and so [`NotReady`](ErrorClass::NotReady).
//!
//! A [`Classifier`] has rules for such errors, typed and exact:
//!
//! ```
//! use hangup::errors::{Classifier, ErrorClass};
//! # #[derive(Debug)] struct NativeTlsError;
//! # impl std::fmt::Display for NativeTlsError {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("ssl") }
//! # }
//! # impl std::error::Error for NativeTlsError {}
//!
//! let classifier = Classifier::new().rule(|_: &NativeTlsError| ErrorClass::Tls);
//! assert_eq!(classifier.classify_error(&NativeTlsError), ErrorClass::Tls);
//! ```
//!
//! # Cost
//!
//! Nothing here allocates or locks, and an error with an OS code takes one search in a table. An error
//! that no rule knows is asked for the beginning of its `Debug` output, and the innermost one without a
//! code for that of its `Display`: what these do is their own.

mod bsd;
mod builtin;
mod chain;
mod class;
mod classifier;
mod close_reason;
mod linux;
mod lookup;
mod platform;
mod reason_of;
mod windows;

pub use class::ErrorClass;
pub use classifier::Classifier;
pub use close_reason::{CloseReason, Failure};
pub use platform::{OsError, Platform, UnknownPlatform};

pub(crate) use builtin::Verdict;
pub(crate) use chain::Chain;

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
    verdict(error).class
}

/// What `error` means for a sender: the first error of its chain that says something decides.
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

/// What `code` means for a sender on `platform`: what `raw_os_error` gives there. A code that the
/// platform does not have is [`Other`](ErrorClass::Other).
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

/// Whether `error` is the connection's: the message is worth sending again on a new one.
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

/// Whether nothing has failed and the socket is just not ready: wait for it, then try again.
///
/// An interrupted call is not meant: who waits for readiness then may wait for ever, as the socket was
/// ready already. [`ErrorClass::is_transient`] has both.
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

/// What `error` means, and the kind of the `io::Error` in its chain that said so.
pub(crate) fn verdict(error: &io::Error) -> Verdict {
    // The plain path: an OS code needs no walk.
    match builtin::judge_io(error) {
        Some(verdict) => verdict,
        None => verdict_of_any(error),
    }
}

/// Whether `error` tells of an alert that TLS has received.
pub(crate) fn tells_of_alert(error: &io::Error) -> bool {
    Chain::new(error).any(builtin::is_alert)
}

fn verdict_of_any(error: &(dyn Error + 'static)) -> Verdict {
    Chain::new(error)
        .find_map(builtin::judge)
        .unwrap_or(Verdict {
            class: ErrorClass::Other,
            kind: None,
        })
}
