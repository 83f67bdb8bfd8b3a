//! One line of a log: which error it tells of. Needs nothing but the crate, and any text will do.

use hangup::errors::{ErrorClass, OsError, Platform, classify};
use std::fmt;
use std::io::ErrorKind;

/// The error that a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What it means.
    pub(crate) class: ErrorClass,
    /// The operating system's error, where the line names one.
    pub(crate) error: Option<OsError>,
}

impl From<OsError> for Finding {
    fn from(error: OsError) -> Self {
        Self {
            class: error.class(),
            error: Some(error),
        }
    }
}

impl From<ErrorClass> for Finding {
    fn from(class: ErrorClass) -> Self {
        Self { class, error: None }
    }
}

/// The class, the error's name where there is one, and the advice.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class)?;
        if let Some(error) = self.error {
            write!(f, ", {}", error.name())?;
        }
        write!(f, ": {}", self.class.advice())
    }
}

/// The error that `line` tells of, its numbers being those of `platform`. `None` if it tells of none
/// that is known.
///
/// Whatever names an error on any platform comes before the number, which means something on its own
/// platform only; the words of a message come last.
pub(crate) fn read(line: &str, platform: Platform) -> Option<Finding> {
    numbered_by_itself(line, platform)
        .or_else(|| words(line).find_map(|word| name(word, platform)))
        .or_else(|| {
            let finding = words(line).find_map(|word| exception(word, platform))?;
            // A number that agrees names the error more closely.
            let numbered = number(line, platform).filter(|error| error.class == finding.class);
            Some(if finding.error.is_none() {
                numbered.unwrap_or(finding)
            } else {
                finding
            })
        })
        .or_else(|| message(line, platform, RESOLUTION))
        .or_else(|| number(line, platform))
        .or_else(|| message(line, platform, MESSAGES))
}

/// The words of which names and exceptions are made.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Exceptions of Python whose numbers are no `errno`: `ssl.SSLEOFError: [Errno 8]` is not `ENOEXEC`.
fn numbered_by_itself(line: &str, platform: Platform) -> Option<Finding> {
    words(line).find_map(|word| match word {
        "gaierror" => {
            let code = after_word(line, "Errno").and_then(parse);
            let error = code.and_then(|code| OsError::from_lookup(code, platform));
            Some(error.map_or(ErrorClass::Resolution.into(), Finding::from))
        }
        "herror" => Some(ErrorClass::Resolution.into()),
        "SSLWantReadError" | "SSLWantWriteError" => Some(ErrorClass::NotReady.into()),
        "SSLCertVerificationError"
        | "SSLEOFError"
        | "SSLError"
        | "SSLSyscallError"
        | "SSLZeroReturnError" => Some(ErrorClass::Tls.into()),
        _ => None,
    })
}

/// A name such as `ECONNRESET`. Some prefixes are Windows' own, wherever the log is read.
fn name(word: &str, platform: Platform) -> Option<Finding> {
    let of_windows = ["WSA", "ERROR_", "WAIT_", "SEC_", "CERT_"];
    if of_windows.iter().any(|prefix| word.starts_with(prefix)) {
        return OsError::from_name(word, Platform::Windows).map(Finding::from);
    }
    if !word.starts_with('E') {
        return None;
    }
    OsError::from_name(word, platform).map(Finding::from)
}

/// An exception of Python, or one of Rust's kinds.
fn exception(word: &str, platform: Platform) -> Option<Finding> {
    let known = EXCEPTIONS.iter().find(|(known, _)| *known == word)?;
    known.1.on(platform)
}

/// What a word or a message means.
#[derive(Clone, Copy)]
enum Means {
    /// The operating system's error of this name.
    Os(&'static str),
    /// An error of Rust's kind.
    Kind(ErrorKind),
    /// An error that only a library has.
    Class(ErrorClass),
}

impl Means {
    fn on(self, platform: Platform) -> Option<Finding> {
        match self {
            Self::Os(name) => OsError::from_name(name, platform).map(Finding::from),
            Self::Kind(kind) => Some(classify(&kind.into()).into()),
            Self::Class(class) => Some(class.into()),
        }
    }
}

use Means::{Class, Kind, Os};

const EXCEPTIONS: &[(&str, Means)] = &[
    // Python
    ("BlockingIOError", Os("EWOULDBLOCK")),
    ("BrokenPipeError", Os("EPIPE")),
    ("ConnectionAbortedError", Os("ECONNABORTED")),
    ("ConnectionRefusedError", Os("ECONNREFUSED")),
    ("ConnectionResetError", Os("ECONNRESET")),
    ("EOFError", Kind(ErrorKind::UnexpectedEof)),
    ("IncompleteReadError", Kind(ErrorKind::UnexpectedEof)),
    ("InterruptedError", Os("EINTR")),
    ("PermissionError", Os("EACCES")),
    ("TimeoutError", Os("ETIMEDOUT")),
    // Rust: rustls' come before the kind of the error around them.
    ("AlertReceived", Class(ErrorClass::Tls)),
    ("InvalidCertificate", Class(ErrorClass::Tls)),
    ("AddrInUse", Kind(ErrorKind::AddrInUse)),
    ("AddrNotAvailable", Kind(ErrorKind::AddrNotAvailable)),
    ("BrokenPipe", Kind(ErrorKind::BrokenPipe)),
    ("ConnectionAborted", Kind(ErrorKind::ConnectionAborted)),
    ("ConnectionRefused", Kind(ErrorKind::ConnectionRefused)),
    ("ConnectionReset", Kind(ErrorKind::ConnectionReset)),
    ("HostUnreachable", Kind(ErrorKind::HostUnreachable)),
    ("NetworkDown", Kind(ErrorKind::NetworkDown)),
    ("NetworkUnreachable", Kind(ErrorKind::NetworkUnreachable)),
    ("NotConnected", Kind(ErrorKind::NotConnected)),
    ("PermissionDenied", Kind(ErrorKind::PermissionDenied)),
    ("TimedOut", Kind(ErrorKind::TimedOut)),
    ("WouldBlock", Kind(ErrorKind::WouldBlock)),
];

/// A number behind a word that says whose it is, or alone in its line.
fn number(line: &str, platform: Platform) -> Option<Finding> {
    let found = if let Some(code) = after_word(line, "WinError").and_then(parse) {
        OsError::from_code(code, Platform::Windows)
    } else if let Some(code) = after_word(line, "Errno").and_then(parse) {
        of_python(code, platform)
    } else if let Some(code) = after_word(line, "errno").and_then(parse) {
        // The kernel, libuv and Node negate it.
        OsError::from_code(code.checked_abs()?, platform)
    } else if let Some(code) = after_word(line, "os error").and_then(parse) {
        OsError::from_code(code, platform)
    } else if let Some(code) = after_word(line, "Os { code").and_then(parse) {
        OsError::from_code(code, platform)
    } else {
        let text = line.trim();
        let code = parse(text).filter(|_| !text.contains(char::is_whitespace))?;
        OsError::from_code(code, platform).or_else(|| OsError::from_lookup(code, platform))
    };
    found.map(Finding::from)
}

/// `[Errno -3]` is `getaddrinfo`'s. On Windows small numbers are those of the C library, of which there
/// is no table.
fn of_python(code: i32, platform: Platform) -> Option<OsError> {
    const WINSOCK: i32 = 10_000;
    match platform {
        Platform::Windows if code < WINSOCK => None,
        _ if code < 0 => OsError::from_lookup(code, platform),
        _ => OsError::from_code(code, platform),
    }
}

/// What follows `word` where that stands by itself.
fn after_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (before, after) = line.split_once(word)?;
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if before.ends_with(joins) || after.starts_with(joins) {
        return None;
    }
    Some(after)
}

/// The number that `text` begins with, behind punctuation.
fn parse(text: &str) -> Option<i32> {
    let text = text.trim_start_matches([' ', '=', ':', '(', '[']);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (radix, text) = match text.strip_prefix("0x") {
        Some(text) => (16, text),
        None => (10, text),
    };
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let number = sign * i64::from(u32::from_str_radix(&text[..end], radix).ok()?);
    // An HRESULT is written as an unsigned number and kept as a signed one.
    i32::try_from(number)
        .ok()
        .or_else(|| u32::try_from(number).ok().map(|code| code as i32))
}

/// The first message of `messages` that is in the line, in capitals or not.
fn message(line: &str, platform: Platform, messages: &[(&str, Means)]) -> Option<Finding> {
    let line = line.to_ascii_lowercase();
    let (_, means) = messages
        .iter()
        .find(|(message, _)| line.contains(message))?;
    means.on(platform)
}

/// Messages of a failed look-up, with which a number would mislead: `[Errno 8] nodename nor servname
/// provided, or not known`, as macOS has it, is not `ENOEXEC`.
const RESOLUTION: &[(&str, Means)] = &[
    ("could not resolve", Class(ErrorClass::Resolution)),
    (
        "failed to lookup address information",
        Class(ErrorClass::Resolution),
    ),
    ("getaddrinfo", Class(ErrorClass::Resolution)),
    ("name or service not known", Class(ErrorClass::Resolution)),
    (
        "no address associated with hostname",
        Class(ErrorClass::Resolution),
    ),
    ("no such host", Class(ErrorClass::Resolution)),
    ("nodename nor servname", Class(ErrorClass::Resolution)),
    (
        "temporary failure in name resolution",
        Class(ErrorClass::Resolution),
    ),
    ("unknownhostexception", Class(ErrorClass::Resolution)),
];

/// The messages of the systems' libraries, of Go, Java, OpenSSL, rustls and hyper; a longer one before
/// those that it contains.
const MESSAGES: &[(&str, Means)] = &[
    ("bad length", Class(ErrorClass::Tls)),
    ("certificate verify failed", Class(ErrorClass::Tls)),
    (
        "eof occurred in violation of protocol",
        Class(ErrorClass::Tls),
    ),
    ("invalid peer certificate", Class(ErrorClass::Tls)),
    ("received corrupt message", Class(ErrorClass::Tls)),
    ("received fatal alert", Class(ErrorClass::Tls)),
    ("ssl routines", Class(ErrorClass::Tls)),
    ("tls: ", Class(ErrorClass::Tls)),
    ("tls close_notify", Class(ErrorClass::Tls)),
    ("tls handshake eof", Class(ErrorClass::Tls)),
    ("wrong version number", Class(ErrorClass::Tls)),
    ("x509: ", Class(ErrorClass::Tls)),
    ("actively refused", Os("ECONNREFUSED")),
    ("address already in use", Os("EADDRINUSE")),
    ("assign requested address", Os("EADDRNOTAVAIL")),
    ("bad file descriptor", Os("EBADF")),
    ("broken pipe", Os("EPIPE")),
    ("cannot allocate memory", Os("ENOMEM")),
    ("connected host has failed to respond", Os("ETIMEDOUT")),
    (
        "connection closed before message completed",
        Kind(ErrorKind::UnexpectedEof),
    ),
    ("connection refused", Os("ECONNREFUSED")),
    ("connection reset", Os("ECONNRESET")),
    ("connection timed out", Os("ETIMEDOUT")),
    ("connection was aborted", Os("ECONNABORTED")),
    ("deadline exceeded", Kind(ErrorKind::TimedOut)),
    ("deadline has elapsed", Kind(ErrorKind::TimedOut)),
    ("early eof", Kind(ErrorKind::UnexpectedEof)),
    ("endpoint shutdown", Os("ESHUTDOWN")),
    ("forcibly closed", Os("ECONNRESET")),
    ("host is down", Os("EHOSTDOWN")),
    ("i/o timeout", Kind(ErrorKind::TimedOut)),
    ("interrupted system call", Os("EINTR")),
    ("is not connected", Os("ENOTCONN")),
    ("machine is not on the network", Os("ENONET")),
    ("message too long", Os("EMSGSIZE")),
    ("network dropped connection", Os("ENETRESET")),
    ("network is down", Os("ENETDOWN")),
    ("network is unreachable", Os("ENETUNREACH")),
    ("no buffer space available", Os("ENOBUFS")),
    ("no route to host", Os("EHOSTUNREACH")),
    ("operation already in progress", Os("EALREADY")),
    ("operation not permitted", Os("EPERM")),
    ("operation now in progress", Os("EINPROGRESS")),
    ("permission denied", Os("EACCES")),
    ("resource temporarily unavailable", Os("EAGAIN")),
    ("send after socket shutdown", Os("ESHUTDOWN")),
    ("software caused connection abort", Os("ECONNABORTED")),
    ("timed out", Kind(ErrorKind::TimedOut)),
    ("too many open files in system", Os("ENFILE")),
    ("too many open files", Os("EMFILE")),
    ("unexpected end of file", Kind(ErrorKind::UnexpectedEof)),
    ("unexpected eof", Kind(ErrorKind::UnexpectedEof)),
    ("unreachable host", Os("EHOSTUNREACH")),
    ("unreachable network", Os("ENETUNREACH")),
];
