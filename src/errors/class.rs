//! The classes of errors.

use std::fmt;

/// What an error means for a sender.
///
/// | class | send the message again? | examples on Linux |
/// |---|---|---|
/// | [`NotReady`](Self::NotReady) | the same call, when the socket is ready | `EAGAIN`, `EINPROGRESS` |
/// | [`Interrupted`](Self::Interrupted) | the same call, immediately | `EINTR` |
/// | [`Disconnected`](Self::Disconnected) | on a new connection | `ECONNRESET`, `EPIPE`, `ECONNREFUSED` |
/// | [`Network`](Self::Network) | on a new connection, later | `ENETUNREACH`, `EHOSTUNREACH` |
/// | [`Resolution`](Self::Resolution) | on a new connection, later | `EAI_AGAIN` |
/// | [`Timeout`](Self::Timeout) | on a new connection | `ETIMEDOUT` |
/// | [`Tls`](Self::Tls) | on a new connection, unless its handshake fails too | |
/// | [`LocalResources`](Self::LocalResources) | later, without a new connection | `EMFILE`, `ENOBUFS`, `ENOMEM` |
/// | [`Misuse`](Self::Misuse), [`Permission`](Self::Permission) | no | `EBADF`, `EADDRINUSE`; `EACCES` |
/// | [`Other`](Self::Other) | no: report it | |
///
/// ```
/// use hangup::errors::{ErrorClass, classify};
/// use std::io;
///
/// let class = classify(&io::ErrorKind::ConnectionReset.into());
/// assert_eq!(class, ErrorClass::Disconnected);
/// assert!(class.is_connection());
/// assert_eq!(class.to_string(), "disconnected");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Nothing failed: the socket is not ready yet, or a connect is under way.
    ///
    /// Wait until the socket is ready, then make the same call again. After a connect, ask for
    /// `SO_ERROR` instead: this class says nothing about the outcome.
    NotReady,
    /// Nothing failed: a signal interrupted the call, or an accept met a connection that was gone.
    ///
    /// Make the same call again immediately.
    Interrupted,
    /// There is no connection: closed, reset, refused, or never made.
    ///
    /// Send the message again on a new connection.
    Disconnected,
    /// The network or the host cannot be reached: weak Wi-Fi, a renewed lease, a route that is gone.
    ///
    /// Send the message again on a new connection, after a while.
    Network,
    /// The host's name could not be resolved.
    ///
    /// Look it up again after a while, then send the message on a new connection.
    Resolution,
    /// A timer expired: the operating system's, or one of the program's own.
    ///
    /// Send the message again on a new connection. What was written to this one may or may not have
    /// arrived.
    Timeout,
    /// TLS failed: it was cut short, a record cannot be decrypted, or a certificate or a parameter was
    /// refused.
    ///
    /// Send the message again on a new connection. If its handshake fails too, check the certificates:
    /// no retry helps then.
    Tls,
    /// This machine or process has run out of something: descriptors, buffers, ports, memory, disk.
    ///
    /// Free some, or wait and try again. An immediate reconnect makes it worse: a new connection needs
    /// more of it.
    LocalResources,
    /// The call or the configuration is wrong: a bad descriptor, an address in use, a message that is
    /// too big.
    ///
    /// Do not send again: fix the program or its configuration.
    Misuse,
    /// The operating system or a firewall does not allow it.
    ///
    /// Do not send again: change the permissions.
    Permission,
    /// The classification does not know the error.
    ///
    /// Report it. Do not treat it as a lost connection.
    Other,
}

impl ErrorClass {
    /// Whether the message is worth sending again on a new connection: [`Disconnected`](Self::Disconnected),
    /// [`Network`](Self::Network), [`Resolution`](Self::Resolution), [`Timeout`](Self::Timeout) and
    /// [`Tls`](Self::Tls).
    ///
    /// ```
    /// use hangup::errors::ErrorClass;
    ///
    /// assert!(ErrorClass::Timeout.is_connection());
    /// assert!(!ErrorClass::NotReady.is_connection());
    /// assert!(!ErrorClass::LocalResources.is_connection());
    /// ```
    pub const fn is_connection(self) -> bool {
        match self {
            Self::Disconnected | Self::Network | Self::Resolution | Self::Timeout | Self::Tls => {
                true
            }
            Self::NotReady
            | Self::Interrupted
            | Self::LocalResources
            | Self::Misuse
            | Self::Permission
            | Self::Other => false,
        }
    }

    /// Whether nothing has failed and the same call should be made again: when the socket is ready for
    /// [`NotReady`](Self::NotReady), immediately for [`Interrupted`](Self::Interrupted).
    ///
    /// ```
    /// use hangup::errors::ErrorClass;
    ///
    /// assert!(ErrorClass::Interrupted.is_transient());
    /// assert!(!ErrorClass::Disconnected.is_transient());
    /// ```
    pub const fn is_transient(self) -> bool {
        match self {
            Self::NotReady | Self::Interrupted => true,
            Self::Disconnected
            | Self::Network
            | Self::Resolution
            | Self::Timeout
            | Self::Tls
            | Self::LocalResources
            | Self::Misuse
            | Self::Permission
            | Self::Other => false,
        }
    }

    /// What a sender should do, in a few words.
    ///
    /// ```
    /// use hangup::errors::ErrorClass;
    ///
    /// assert_eq!(ErrorClass::Disconnected.advice(), "send again on a new connection");
    /// ```
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotReady => "wait until the socket is ready, then make the same call again",
            Self::Interrupted => "make the same call again immediately",
            Self::Disconnected => "send again on a new connection",
            Self::Network => "send again on a new connection, after a while",
            Self::Resolution => "look the name up again after a while, then send again",
            Self::Timeout => "send again on a new connection; what was sent may have arrived",
            Self::Tls => {
                "send again on a new connection; if that fails too, check the certificates"
            }
            Self::LocalResources => {
                "free descriptors, ports, buffers or memory, or wait; do not reconnect immediately"
            }
            Self::Misuse => "do not send again: fix the program or its configuration",
            Self::Permission => "do not send again: change the permissions",
            Self::Other => "report it; it is not known to be caused by the connection",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotReady => "not ready",
            Self::Interrupted => "interrupted",
            Self::Disconnected => "disconnected",
            Self::Network => "network",
            Self::Resolution => "resolution",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::LocalResources => "local resources",
            Self::Misuse => "misuse",
            Self::Permission => "permission",
            Self::Other => "other",
        })
    }
}
