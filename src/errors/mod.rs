//! Classifies errors: tables of the systems' error codes, and functions that say what an error means for a sender.
//! Uses std, and tokio for the type of its timeout; nothing else of this crate.
//! Used by the streams, the listeners and the outbox, and by any program that has to react to an error.
//!
//! A send that fails raises one question: should the program send the message again on a new connection, make the call
//! again on this one, or report a bug? [`classify`] answers it for an [`io::Error`](std::io::Error),
//! [`classify_error`] for any error, and [`classify_call`] if the failed call is known. The [`ErrorClass`] says what
//! to do.
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
//! # A sender that reconnects
//!
//! The classes lead to four different reactions. This loop sends one message, and takes the calls from outside so that it can
//! be tested:
//!
//! ```
//! use hangup::errors::{Call, ErrorClass, classify, classify_call};
//! use std::io::{self, ErrorKind};
//!
//! /// Sends on the present connection, or on a new one. Returns the number of connections that it made.
//! fn send(
//!     mut write: impl FnMut() -> io::Result<()>,
//!     mut connect: impl FnMut() -> io::Result<()>,
//!     mut pause: impl FnMut(),
//! ) -> io::Result<u32> {
//!     let mut connections = 0;
//!     loop {
//!         let error = match write() {
//!             Ok(()) => return Ok(connections),
//!             Err(error) => error,
//!         };
//!         match classify(&error) {
//!             // Nothing has failed: make the same call again.
//!             class if class.is_transient() => continue,
//!             // A new connection would need even more: wait first.
//!             ErrorClass::LocalResources => pause(),
//!             // The connection is at fault: make a new one, however long it takes.
//!             class if class.is_connection() => loop {
//!                 connections += 1;
//!                 match connect() {
//!                     Ok(()) => break,
//!                     Err(error) if classify_call(&error, Call::Connect).is_connection() => pause(),
//!                     Err(error) => return Err(error),
//!                 }
//!             },
//!             // A mistake in the program, a missing permission, or an unknown error: report it.
//!             _ => return Err(error),
//!         }
//!     }
//! }
//!
//! let results = [Err(ErrorKind::Interrupted), Err(ErrorKind::BrokenPipe), Ok(())];
//! let mut results = results.into_iter().map(|result| result.map_err(io::Error::from));
//! let sent = send(|| results.next().unwrap(), || Ok(()), || {});
//! assert_eq!(sent.unwrap(), 1);
//!
//! let denied = send(|| Err(ErrorKind::PermissionDenied.into()), || Ok(()), || {});
//! assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
//! ```
//!
//! The [`outbox`](crate::outbox) is such a sender, with a queue, confirmations and a back-off.
//!
//! # An accept loop
//!
//! accept(2) also returns errors of connections that failed before they were accepted. Such an error must not end the
//! server, and a lack of descriptors must not turn the loop into a busy one:
//!
//! ```
//! use hangup::errors::{Call, ErrorClass, classify_call};
//! use std::io::{self, ErrorKind};
//!
//! enum Next { Accept, Pause, Stop }
//!
//! fn after_accept(error: &io::Error) -> Next {
//!     match classify_call(error, Call::Accept) {
//!         // The connection is gone, or a signal came: the listener still works.
//!         class if class.is_transient() => Next::Accept,
//!         // No descriptors are left (EMFILE). Some may be closed in a moment.
//!         ErrorClass::LocalResources => Next::Pause,
//!         _ => Next::Stop,
//!     }
//! }
//!
//! assert!(matches!(after_accept(&ErrorKind::ConnectionAborted.into()), Next::Accept));
//! assert!(matches!(after_accept(&ErrorKind::OutOfMemory.into()), Next::Pause));
//! assert!(matches!(after_accept(&ErrorKind::InvalidInput.into()), Next::Stop));
//! ```
//!
//! [`MonitoredListener::accept_retrying`](crate::MonitoredListener::accept_retrying) is such a loop.
//!
//! # What the failed calls of a sender return
//!
//! | what has happened | `connect` | `write` | `read` | class |
//! |---|---|---|---|---|
//! | nobody listens on the port | `ECONNREFUSED` | | | [`Disconnected`](ErrorClass::Disconnected) |
//! | the peer has reset the connection | | `ECONNRESET` for the first call, then `EPIPE` | `ECONNRESET` for the first call, then 0 bytes | [`Disconnected`](ErrorClass::Disconnected) |
//! | the peer has closed, and has answered our data with a reset | | succeeds once, then `EPIPE` | 0 bytes, and no error | [`Disconnected`](ErrorClass::Disconnected) |
//! | the peer has lost power or network | `ETIMEDOUT` | `ETIMEDOUT`, after minutes | the same if data was in flight, otherwise nothing | [`Timeout`](ErrorClass::Timeout) |
//! | there is no route | `ENETUNREACH`, `EHOSTUNREACH` | `EHOSTUNREACH`, after minutes | the same if data was in flight, otherwise nothing | [`Network`](ErrorClass::Network) |
//! | all local ports are in use | `EADDRNOTAVAIL` | | | [`LocalResources`](ErrorClass::LocalResources) |
//! | no descriptors are left | `EMFILE`, from socket(2) | | | [`LocalResources`](ErrorClass::LocalResources) |
//!
//! These are the codes of Linux (tcp(7), ip(7), connect(2)). On Windows the same failures have the codes `WSAECONNREFUSED`,
//! `WSAECONNRESET` and so on, which have the same classes. A [`MonitoredStream`](crate::MonitoredStream) closes with the
//! fitting [`CloseReason`] before the next write.
//!
//! # Why a table is needed
//!
//! [`io::ErrorKind`](std::io::ErrorKind) is too coarse, and it differs between systems. About twenty codes mean that a
//! connection is lost, and std gives a kind of their own to about half of them; the others are `Uncategorized`, which no
//! program can match. The same number means different things on different systems: 104 is a reset on Linux and nothing
//! on Windows, where a reset is 10054. And a local error (no descriptors left, `EMFILE`) must not be taken for a lost
//! connection: a program that reconnects then needs one descriptor more.
//!
//! ```
//! use hangup::errors::{ErrorClass, Platform, classify_os};
//!
//! assert_eq!(classify_os(101, Platform::Linux), ErrorClass::Network); // ENETUNREACH
//! assert_eq!(classify_os(24, Platform::Linux), ErrorClass::LocalResources); // EMFILE
//! assert_eq!(classify_os(10054, Platform::Windows), ErrorClass::Disconnected); // WSAECONNRESET
//! ```
//!
//! # Which function
//!
//! | you have | call |
//! |---|---|
//! | an [`io::Error`](std::io::Error) | [`classify`] |
//! | the same, and you know the failed call: `connect`, `bind`, `accept`, `read`, `write` or a look-up | [`classify_call`] |
//! | an error of a library, a `Box<dyn Error>` | [`classify_error`]; [`Classifier::well_known`] if it is one of those |
//! | a number from a log, perhaps of another system | [`classify_os`], or [`OsError`] for its name too |
//! | a [`CloseReason`] | its [`class`](CloseReason::class) |
//!
//! # How an error is read
//!
//! The chain of errors is read from the outside in, and the first error that says something decides. The chain consists
//! of each error's [`source`](std::error::Error::source), and of two errors that `source` skips: the payload of an
//! [`io::Error`](std::io::Error), and the error in a `Box` or an `Arc`.
//!
//! * An [`io::Error`](std::io::Error) with an OS code: this platform's table decides ([`classify_os`]). If the table does
//!   not have the code, the kind that std gives it decides.
//! * An [`io::Error`](std::io::Error) without a code: its [`kind`](std::io::Error::kind) decides. `Other` and
//!   `InvalidData` say nothing by themselves, so the errors inside decide.
//! * A [`CloseReason`]: its [`class`](crate::CloseReason::class).
//! * tokio's `Elapsed`: a timeout.
//! * **A name that does not resolve.** On Unix std's error has no code, and a kind that no program can name. Its message
//!   starts with "failed to lookup address information", which is recognized. Every cause of the failure, even a lack
//!   of memory, is then [`Resolution`](ErrorClass::Resolution). If a system call failed (`EAI_SYSTEM`), the error has
//!   the `errno`; on Windows it has a code such as `WSAHOST_NOT_FOUND`. The table decides about both.
//! * **rustls**, without a dependency on it: the name of the error's variant decides, as `Debug` prints it. Names that
//!   another library may use too count only inside an `io::Error` of the kind `InvalidData`, in which tokio-rustls wraps
//!   them. An input that ends without close_notify is recognized by the start of its message.
//!
//! # What it cannot know
//!
//! * The cause of an error that hides it: an error without a `source`, such as h2's own errors outside of hyper, or
//!   thiserror's `transparent` around an `io::Error`, which passes on the source and hides the error itself.
//! * The meaning of an error that a library creates without a failed system call: hyper's when the peer's FIN comes
//!   before the answer, reqwest's when its own timer expires.
//! * `rustls::Error`'s `General` and `Other`, and the errors of other TLS libraries, except for Schannel's codes on
//!   Windows.
//! * Which call returned a code: `ENOSPC` of a file and of a socket are the same. [`classify_call`] takes the call.
//! * That the timer of [`set_read_timeout`](std::net::TcpStream::set_read_timeout) expired. On Unix the error is
//!   `EAGAIN`, as for a socket without data, and so the class is [`NotReady`](ErrorClass::NotReady).
//!
//! [`Classifier::well_known`] covers the first two points for hyper, h2, reqwest, tungstenite, tonic, quinn,
//! redis and tokio-postgres. For other libraries, add rules for their types to a [`Classifier`]:
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
//! Nothing here allocates or locks. An error with an OS code takes one binary search in a table. For an error that no
//! rule knows, the start of its `Debug` output is read, and for the innermost error without a code the start of its
//! `Display` output. The cost of these two depends on their implementations.

mod builtin;
mod call;
mod chain;
mod class;
mod classifier;
mod classify;
mod close_reason;
mod failure;
mod os_error;
mod platform;
mod printed;
mod reason_of;
mod tables;
mod well_known;

pub use call::Call;
pub use class::ErrorClass;
pub use classifier::Classifier;
pub use classify::{
    classify, classify_call, classify_error, classify_os, is_connection_error, is_not_ready,
};
pub use close_reason::CloseReason;
pub use failure::Failure;
pub use os_error::OsError;
pub use platform::{Platform, UnknownPlatform};
