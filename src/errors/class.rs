//! What an error means for a sender.

use std::fmt;

/// What an error means for a sender.
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
    /// Nothing failed: the socket cannot do it yet, or a connect is under way.
    ///
    /// Wait until the socket is ready, then make the same call again. After a connect ask for
    /// `SO_ERROR` then: this class says nothing of the outcome.
    NotReady,
    /// Nothing failed: a signal came first.
    ///
    /// Make the same call again at once.
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
    /// Look it up again after a while, then send on a new connection.
    Resolution,
    /// A timer ran out: the operating system's, or one of the program's own.
    ///
    /// Send the message again on a new connection: what this one has taken may or may not have
    /// arrived.
    Timeout,
    /// TLS failed: it was cut short, a record cannot be read, a certificate or a parameter was
    /// refused.
    ///
    /// Send the message again on a new connection. If the first record of that one fails too, look at
    /// the certificates: no retry mends those.
    Tls,
    /// This machine or process has run out of something: descriptors, buffers, memory, disk.
    ///
    /// Free some or wait; a new connection needs more of it, not less.
    LocalResources,
    /// The call is wrong or the configuration is: a bad descriptor, an address in use, a message that
    /// is too big.
    ///
    /// Do not send again: mend the program or its configuration.
    Misuse,
    /// The operating system or a firewall does not allow it.
    ///
    /// Do not send again: change the rights.
    Permission,
    /// Nothing that the classification knows.
    ///
    /// Report it, and do not take it for a lost connection.
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
        matches!(
            self,
            Self::Disconnected | Self::Network | Self::Resolution | Self::Timeout | Self::Tls
        )
    }

    /// Whether nothing has failed and the same call on the same connection is to be made again:
    /// [`NotReady`](Self::NotReady), once the socket is ready, and [`Interrupted`](Self::Interrupted),
    /// at once.
    ///
    /// ```
    /// use hangup::errors::ErrorClass;
    ///
    /// assert!(ErrorClass::Interrupted.is_transient());
    /// assert!(!ErrorClass::Disconnected.is_transient());
    /// ```
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::NotReady | Self::Interrupted)
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
            Self::Interrupted => "make the same call again at once",
            Self::Disconnected => "send again on a new connection",
            Self::Network => "send again on a new connection, after a while",
            Self::Resolution => "look the name up again after a while, then send again",
            Self::Timeout => "send again on a new connection; what was sent may have arrived",
            Self::Tls => {
                "send again on a new connection; if that fails too, check the certificates"
            }
            Self::LocalResources => "free descriptors, buffers or memory; do not reconnect",
            Self::Misuse => "do not send again: mend the program or its configuration",
            Self::Permission => "do not send again: change the rights",
            Self::Other => "report it; it is not known to be the connection's fault",
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
