//! The built-in rules: what one error says by itself, without the errors inside it.

use super::chain;
use super::class::ErrorClass;
use super::close_reason::CloseReason;
use super::os_error::OsError;
use super::platform::Platform;
use super::printed::{Word, displays};
use std::error::Error;
use std::io::{self, ErrorKind};

/// What an error means, and the kind of the `io::Error` that said so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) class: ErrorClass,
    pub(super) kind: Option<ErrorKind>,
}

/// The verdict on `error` alone. `None` if it says nothing, so that the errors inside it decide.
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

/// Whether `error` is rustls' error for an alert that the peer sent.
pub(super) fn is_alert(error: &(dyn Error + 'static)) -> bool {
    chain::held(error).is_none() && Word::of(error).as_str() == ALERT
}

pub(super) fn judge_io(error: &io::Error) -> Option<Verdict> {
    Some(Verdict {
        class: class_of_io(error)?,
        kind: Some(error.kind()),
    })
}

/// The class alone. For a known code it does not call [`io::Error::kind`], which would take a third of the time.
pub(super) fn class_of_io(error: &io::Error) -> Option<ErrorClass> {
    match error.raw_os_error() {
        Some(code) => Some(class_of_code(code, error)),
        None => class_without_code(error, error.kind()),
    }
}

/// The class in the platform's table, or else the class of the kind that std gives the code.
fn class_of_code(code: i32, error: &io::Error) -> ErrorClass {
    let known = Platform::current().and_then(|platform| OsError::from_code(code, platform));
    known.map_or_else(|| class_of_kind(error.kind()), |error| error.class())
}

/// The class of an error without a code: an error of a library, or std's error for a name that does not resolve.
fn class_without_code(error: &io::Error, kind: ErrorKind) -> Option<ErrorClass> {
    let payload = error.get_ref();
    // The most frequent answer of a socket.
    if payload.is_none() && kind == ErrorKind::WouldBlock {
        return Some(ErrorClass::NotReady);
    }
    if let Some(reason) = payload.and_then(|payload| payload.downcast_ref::<CloseReason>()) {
        return Some(reason.class());
    }
    // The text counts only if there is no error inside the payload. Printing an OS error would allocate.
    let is_wrapper = payload.is_some_and(|payload| {
        payload.is::<io::Error>() || chain::held(payload).is_some() || payload.source().is_some()
    });
    let says = |text: &str| !is_wrapper && displays(error, text);
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

/// The beginning of std's error for a name that does not resolve, on Unix.
///
/// The error has neither `getaddrinfo`'s code nor a stable kind. For `EAI_SYSTEM` std gives the `errno`
/// instead, and on Windows the `WSA` code.
const LOOKUP_FAILED: &str = "failed to lookup address information";

/// The beginning of std's and tokio's error for a name without an address.
const NO_ADDRESS: &str = "could not resolve to any address";

/// The beginnings of the errors of rustls and tokio-rustls for an input that ends without close_notify.
const TLS_CUT_SHORT: &[&str] = &[
    "peer closed connection without sending TLS close_notify",
    "tls handshake eof",
];

/// The variant of `rustls::Error` for an alert that the peer sent.
const ALERT: &str = "AlertReceived";

/// The variants of `rustls::Error` whose names no other library is likely to use.
///
/// Downcasting to the type would need a dependency on one version of rustls. A derived `Debug` begins
/// with the variant's name, which is part of rustls' public interface.
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

/// The variants whose names another library may use too.
///
/// They count only inside an `io::Error` of kind `InvalidData`, which is what rustls' I/O returns.
const RUSTLS_IN_INVALID_DATA: &[&str] = &[
    "DecryptError",
    "EncryptError",
    "HandshakeNotComplete",
    "InconsistentKeys",
    "InvalidMessage",
    "NoApplicationProtocol",
    "UnsupportedNameType",
];
