//! Which errors mean the connection: the tables of the systems' error codes, and the questions to them.
//! Uses std, and tokio for the type of its time-out; nothing else of this crate.
//! Used by the streams, the listeners and the outbox, and by any program that has to judge an error.
//!
//! A sender that fails has one question: is the message to be sent again on a new connection, is the
//! call to be made again on this one, or is it a bug? [`classify`] answers it for an [`io::Error`](std::io::Error),
//! [`classify_error`] for any error, and [`classify_call`] where the failed call is known. The
//! [`ErrorClass`] says what to do.
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
//! [`source`](std::error::Error::source) the chain has the payload of an [`io::Error`](std::io::Error) and the error in a `Box` or
//! an `Arc`, which `source` skips.
//!
//! * An [`io::Error`](std::io::Error) with an OS code: by this platform's table ([`classify_os`]); a code that it does
//!   not have, by the kind that std gives it.
//! * One without a code: by its [`kind`](std::io::Error::kind). `Other` and `InvalidData` say nothing by
//!   themselves: the errors inside are asked.
//! * A [`CloseReason`]: its [`class`](crate::CloseReason::class).
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
//! * An error that hides what is inside it: one without a `source`, such as h2's own errors outside of
//!   hyper, or thiserror's `transparent` around an `io::Error`, which passes on the source and hides the
//!   error.
//! * An error that a library makes up, with no system call behind it: hyper's when the peer's FIN came
//!   before the answer, reqwest's when its own timer ran out.
//! * `rustls::Error`'s `General` and `Other`, and other TLS libraries, except for Schannel's codes on
//!   Windows.
//! * Where a code came from: `ENOSPC` of a file and of a socket are the same. [`classify_call`] is told.
//! * That the timer of [`set_read_timeout`](std::net::TcpStream::set_read_timeout) ran out: on Unix that
//!   is `EAGAIN`, as of a socket without data, and so [`NotReady`](ErrorClass::NotReady).
//!
//! [`Classifier::well_known`] knows the first two kinds for hyper, h2, reqwest, tungstenite, tonic, quinn,
//! redis and tokio-postgres. For others a [`Classifier`] takes rules, typed and exact:
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
