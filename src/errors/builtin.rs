//! The built-in rules: what one error says by itself, without those inside it.

use super::close_reason::CloseReason;
use super::{ErrorClass, OsError, Platform, chain};
use std::error::Error;
use std::fmt::{self, Debug, Display, Write};
use std::io::{self, ErrorKind};

/// What an error means, and the kind of the `io::Error` that said so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) class: ErrorClass,
    pub(crate) kind: Option<ErrorKind>,
}

/// What `error` says; `None` if it says nothing and those inside it are to be asked.
pub(super) fn judge(error: &(dyn Error + 'static)) -> Option<Verdict> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return judge_io(error);
    }
    let class = if let Some(reason) = error.downcast_ref::<CloseReason>() {
        reason.class()
    } else if error.is::<tokio::time::error::Elapsed>() {
        ErrorClass::Timeout
    } else if chain::held(error).is_some() {
        return None;
    } else if RUSTLS.contains(&Word::of(error).as_str()) {
        ErrorClass::Tls
    } else {
        return None;
    };
    Some(Verdict { class, kind: None })
}

/// Whether `error` is rustls' for an alert of the peer's.
pub(super) fn is_alert(error: &(dyn Error + 'static)) -> bool {
    chain::held(error).is_none() && Word::of(error).as_str() == ALERT
}

pub(super) fn judge_io(error: &io::Error) -> Option<Verdict> {
    let kind = error.kind();
    let class = match error.raw_os_error() {
        Some(code) => return Some(judge_code(code, kind)),
        None => judge_kind(error, kind)?,
    };
    Some(Verdict {
        class,
        kind: Some(kind),
    })
}

/// The platform's table, or std's reading of the code where the table does not have it.
fn judge_code(code: i32, kind: ErrorKind) -> Verdict {
    let known = Platform::current().and_then(|platform| OsError::from_code(code, platform));
    Verdict {
        class: match known {
            Some(error) => error.class(),
            None => class_of_kind(kind),
        },
        kind: Some(kind),
    }
}

/// An error that was made without a code: by a library, or by std for a name that does not resolve.
fn judge_kind(error: &io::Error, kind: ErrorKind) -> Option<ErrorClass> {
    let payload = error.get_ref();
    if let Some(reason) = payload.and_then(|payload| payload.downcast_ref::<CloseReason>()) {
        return Some(reason.class());
    }
    // What the payload says in words counts only if it has no error inside that can be asked: to put an
    // OS error in words takes an allocation.
    let is_wrapper = payload.is_some_and(|payload| {
        payload.is::<io::Error>() || chain::held(payload).is_some() || payload.source().is_some()
    });
    let says = |text| !is_wrapper && begins(error, text);
    let class = match kind {
        ErrorKind::UnexpectedEof if TLS_CUT_SHORT.iter().any(|text| says(text)) => ErrorClass::Tls,
        ErrorKind::InvalidInput if says(NO_ADDRESS) => ErrorClass::Resolution,
        ErrorKind::InvalidData if !is_wrapper => {
            let word = Word::of(payload?);
            let is_tls = |names: &[&str]| names.contains(&word.as_str());
            if !is_tls(RUSTLS) && !is_tls(RUSTLS_IN_INVALID_DATA) {
                return None;
            }
            ErrorClass::Tls
        }
        _ => class_of_kind(kind),
    };
    match class {
        ErrorClass::Other if says(LOOKUP_FAILED) => Some(ErrorClass::Resolution),
        ErrorClass::Other => None,
        class => Some(class),
    }
}

fn class_of_kind(kind: ErrorKind) -> ErrorClass {
    match kind {
        ErrorKind::WouldBlock => ErrorClass::NotReady,
        ErrorKind::Interrupted => ErrorClass::Interrupted,
        ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero => ErrorClass::Disconnected,
        ErrorKind::HostUnreachable | ErrorKind::NetworkDown | ErrorKind::NetworkUnreachable => {
            ErrorClass::Network
        }
        ErrorKind::TimedOut => ErrorClass::Timeout,
        ErrorKind::OutOfMemory | ErrorKind::QuotaExceeded | ErrorKind::StorageFull => {
            ErrorClass::LocalResources
        }
        ErrorKind::AddrInUse
        | ErrorKind::AddrNotAvailable
        | ErrorKind::InvalidInput
        | ErrorKind::NotFound
        | ErrorKind::Unsupported => ErrorClass::Misuse,
        ErrorKind::PermissionDenied => ErrorClass::Permission,
        _ => ErrorClass::Other,
    }
}

/// How std's error for a name that does not resolve begins on Unix: `getaddrinfo`'s own code is lost
/// in it, and its kind is one that cannot be named. (For `EAI_SYSTEM` std gives `errno`, on Windows the
/// `WSA` code.)
const LOOKUP_FAILED: &str = "failed to lookup address information";

/// How std's and tokio's error for a name without an address begins.
const NO_ADDRESS: &str = "could not resolve to any address";

/// How the errors of rustls and tokio-rustls for an input that ends without close_notify begin.
const TLS_CUT_SHORT: &[&str] = &[
    "peer closed connection without sending TLS close_notify",
    "tls handshake eof",
];

/// The variant of `rustls::Error` that tells of the peer's alert.
const ALERT: &str = "AlertReceived";

/// The variants of `rustls::Error` that nobody else is likely to have. The type itself cannot be asked
/// for without depending on one version of rustls; a derived `Debug` begins with the variant's name,
/// and that is part of rustls' public interface.
const RUSTLS: &[&str] = &[
    ALERT,
    "InappropriateHandshakeMessage",
    "InappropriateMessage",
    "InvalidCertRevocationList",
    "InvalidCertificate",
    "InvalidEncryptedClientHello",
    "NoCertificatesPresented",
    "PeerIncompatible",
    "PeerMisbehaved",
    "PeerSentOversizedRecord",
];

/// Those that another library's error may be called too: they count only inside an `io::Error` of
/// kind `InvalidData`, which is how rustls' I/O gives them.
const RUSTLS_IN_INVALID_DATA: &[&str] = &[
    "DecryptError",
    "EncryptError",
    "HandshakeNotComplete",
    "InconsistentKeys",
    "InvalidMessage",
    "NoApplicationProtocol",
    "UnsupportedNameType",
];

/// Whether what `error` displays begins with `text`. Asks for no more than that and stores nothing.
fn begins(error: &dyn Display, text: &str) -> bool {
    struct Rest<'a>(&'a str);

    impl Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            // Bytes, as `part` may end within a character of `text`'s length.
            let len = self.0.len().min(part.len());
            if self.0.as_bytes()[..len] != part.as_bytes()[..len] {
                return Err(fmt::Error);
            }
            self.0 = &self.0[len..];
            if self.0.is_empty() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut rest = Rest(text);
    // An error ends the formatting early; what counts is how far it came.
    let _ = write!(rest, "{error}");
    rest.0.is_empty()
}

/// The word that a `Debug` output begins with: of a derived one the variant's or the type's name.
struct Word {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Word {
    /// Room for the longest name that is looked for, and one byte more to tell a longer one.
    const CAPACITY: usize = 32;

    fn of(error: impl Debug) -> Self {
        let mut word = Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        };
        // An error ends the formatting at the end of the word.
        let _ = write!(word, "{error:?}");
        word
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Word {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            if !byte.is_ascii_alphanumeric() || self.len == Self::CAPACITY {
                return Err(fmt::Error);
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}
