//! The call that failed, and how it changes the class of an error.

use super::class::ErrorClass::{self, *};
use super::os_error::OsError;
use super::platform::Platform;
use std::io::{self, ErrorKind};

/// The call that failed with an error.
///
/// Some codes have different meanings for different calls. `EADDRNOTAVAIL` from `bind` is a wrong address in the
/// configuration; from `connect` it means that all local ports are in use. Pass the call to
/// [`classify_call`](super::classify_call) or [`Classifier::classify_call`](super::Classifier::classify_call).
///
/// | error | without a call | [`Connect`](Self::Connect) | [`Bind`](Self::Bind) | [`Accept`](Self::Accept) | [`Read`](Self::Read), [`Write`](Self::Write) |
/// |---|---|---|---|---|---|
/// | `EADDRINUSE` | misuse | local resources | misuse | misuse | misuse |
/// | `EADDRNOTAVAIL` | misuse | local resources | misuse | misuse | misuse |
/// | `EACCES` | permission | network | permission | permission | permission |
/// | `EPERM` | permission | network | permission | interrupted | permission |
/// | `ENOENT` | misuse | disconnected | misuse | misuse | misuse |
/// | `ENODEV`, `ENXIO` | other | network | misuse | other | network |
/// | `ECONNABORTED`, `EPROTO` | disconnected | disconnected | disconnected | interrupted | disconnected |
/// | `ENETDOWN` | network | network | network | interrupted | network |
/// | `EMFILE`, `ENOBUFS` | local resources | local resources | local resources | local resources | local resources |
///
/// ```
/// use hangup::errors::{Call, ErrorClass, classify_call};
/// use std::io::ErrorKind;
///
/// let error = ErrorKind::AddrNotAvailable.into();
/// assert_eq!(classify_call(&error, Call::Bind), ErrorClass::Misuse);
/// assert_eq!(classify_call(&error, Call::Connect), ErrorClass::LocalResources);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Connecting to a peer, with any protocol.
    ///
    /// A local condition may be gone by the next attempt, so it is worth another one: ports or a device
    /// in use (`EADDRINUSE`, `EADDRNOTAVAIL`, `EBUSY`) are [`LocalResources`]; an interface or a protocol
    /// that is missing (`EAFNOSUPPORT`, `ENODEV`, `ENXIO`) and a firewall that forbids it (`EACCES`,
    /// `EPERM`) are [`Network`]. A Unix socket or a named pipe that is not there (`ENOENT`) has no server
    /// yet, which is [`Disconnected`]. Sources: connect(2), ip(7).
    Connect,
    /// Binding a socket to a local address.
    ///
    /// A missing address or device (`EADDRNOTAVAIL`, `EBUSY`, `ENODEV`, `ENXIO`) is [`Misuse`].
    Bind,
    /// Accepting a connection.
    ///
    /// An error of the new connection is [`Interrupted`]: the listener still works, so accept the next connection
    /// immediately. Linux reports such errors through accept(2). Running out of descriptors stays
    /// [`LocalResources`]: wait before the next call, because the same connection fails again at once.
    Accept,
    /// Reading from a connection. A device that is gone (`ENODEV`, `ENXIO`) is [`Network`].
    Read,
    /// Writing to a connection. A device that is gone (`ENODEV`, `ENXIO`) is [`Network`].
    Write,
    /// Looking up a name. An error of the connection to the name server is [`Resolution`] too, and so is a timeout.
    LookUp,
}

impl Call {
    /// The class of `error` alone from this call, if it differs from the class without a call.
    pub(super) fn judge(self, error: &io::Error) -> Option<ErrorClass> {
        let name = posix_name(error)?;
        let class = match (self, name) {
            (Self::Connect, "EADDRINUSE" | "EADDRNOTAVAIL" | "EBUSY") => LocalResources,
            (Self::Connect, "EACCES" | "EAFNOSUPPORT" | "ENODEV" | "ENXIO" | "EPERM") => Network,
            (Self::Connect, "ENOENT") => Disconnected,
            (Self::Bind, "EADDRNOTAVAIL" | "EBUSY" | "ENODEV" | "ENXIO") => Misuse,
            // accept(2): a firewall forbids this connection; an error that was pending on it.
            (Self::Accept, "EPERM" | "ENOPROTOOPT") => Interrupted,
            (Self::Read | Self::Write, "ENODEV" | "ENXIO") => Network,
            _ => return None,
        };
        Some(class)
    }

    /// The class from this call, for an error whose class without a call is `class`.
    pub(super) const fn adjust(self, class: ErrorClass) -> ErrorClass {
        match (self, class) {
            (Self::Accept, Disconnected | Network | Timeout) => Interrupted,
            (Self::LookUp, Disconnected | Network | NotReady | Other | Timeout | Tls) => Resolution,
            (Self::Connect | Self::Bind | Self::Read | Self::Write, _)
            | (
                Self::Accept,
                NotReady | Interrupted | Resolution | Tls | LocalResources | Misuse | Permission
                | Other,
            )
            | (Self::LookUp, Interrupted | Resolution | LocalResources | Misuse | Permission) => {
                class
            }
        }
    }
}

/// The POSIX name of `error`, by its code or else by its kind.
fn posix_name(error: &io::Error) -> Option<&'static str> {
    if let Some(code) = error.raw_os_error() {
        let name = OsError::from_code(code, Platform::current()?)?.name();
        return Some(match name {
            "ERROR_FILE_NOT_FOUND" => "ENOENT",
            "ERROR_PIPE_BUSY" => "EBUSY",
            name => name.strip_prefix("WSA").unwrap_or(name),
        });
    }
    Some(match error.kind() {
        ErrorKind::AddrInUse => "EADDRINUSE",
        ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        ErrorKind::NotFound => "ENOENT",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::ResourceBusy => "EBUSY",
        _ => return None,
    })
}
