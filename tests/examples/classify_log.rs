//! The example `classify_log`: its reading of a line, and the program as a user runs it.

#[path = "../../examples/classify_log/line.rs"]
mod line;

use crate::process::binary;
use hangup::errors::{ErrorClass, OsError, Platform};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use Platform::{FreeBsd, Linux, MacOs, OpenBsd, Windows};

/// Lines from real logs, and what they tell of.
const LINES: &[(Platform, &str, ErrorClass, Option<&str>)] = {
    use ErrorClass::*;
    &[
        // Names and numbers by themselves.
        (Linux, "ECONNRESET", Disconnected, Some("ECONNRESET")),
        (Linux, "104", Disconnected, Some("ECONNRESET")),
        (Linux, "  110\n", Timeout, Some("ETIMEDOUT")),
        (MacOs, "54", Disconnected, Some("ECONNRESET")),
        (Windows, "10054", Disconnected, Some("WSAECONNRESET")),
        (Windows, "0x80090326", Tls, Some("SEC_E_ILLEGAL_MESSAGE")),
        (Windows, "-2146893018", Tls, Some("SEC_E_ILLEGAL_MESSAGE")),
        (Linux, "-3", Resolution, Some("EAI_AGAIN")),
        (Linux, "[Errno 104]", Disconnected, Some("ECONNRESET")),
        (Linux, "(os error 104)", Disconnected, Some("ECONNRESET")),
        (Linux, "WinError 10054", Disconnected, Some("WSAECONNRESET")),
        (Linux, "WSAECONNRESET", Disconnected, Some("WSAECONNRESET")),
        (Linux, "errno=113", Network, Some("EHOSTUNREACH")),
        (
            Linux,
            "connect() failed, errno: 111",
            Disconnected,
            Some("ECONNREFUSED"),
        ),
        // Python.
        (
            Linux,
            "ConnectionResetError: [Errno 104] Connection reset by peer",
            Disconnected,
            Some("ECONNRESET"),
        ),
        (
            // A log of macOS, read on Linux: the exception is right where the number misleads.
            Linux,
            "ConnectionResetError: [Errno 54] Connection reset by peer",
            Disconnected,
            Some("ECONNRESET"),
        ),
        (
            Windows,
            "ConnectionResetError: [WinError 10054] An existing connection was forcibly closed by the remote host",
            Disconnected,
            Some("WSAECONNRESET"),
        ),
        (
            Windows,
            "OSError: [WinError 64] The specified network name is no longer available",
            Disconnected,
            Some("ERROR_NETNAME_DELETED"),
        ),
        (
            Linux,
            "BrokenPipeError: [Errno 32] Broken pipe",
            Disconnected,
            Some("EPIPE"),
        ),
        (
            Windows,
            "BrokenPipeError: [Errno 32] Broken pipe",
            Disconnected,
            Some("ERROR_BROKEN_PIPE"),
        ),
        (
            Linux,
            "OSError: [Errno 113] No route to host",
            Network,
            Some("EHOSTUNREACH"),
        ),
        (
            MacOs,
            "OSError: [Errno 65] No route to host",
            Network,
            Some("EHOSTUNREACH"),
        ),
        (
            Linux,
            "OSError: [Errno 64] Machine is not on the network",
            Network,
            Some("ENONET"),
        ),
        (
            Linux,
            "OSError: [Errno 107] Transport endpoint is not connected",
            Disconnected,
            Some("ENOTCONN"),
        ),
        (
            Linux,
            "transport endpoint is not connected",
            Disconnected,
            Some("ENOTCONN"),
        ),
        (
            Linux,
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            NotReady,
            Some("EAGAIN"),
        ),
        (
            Windows,
            "BlockingIOError: [WinError 10035] A non-blocking socket operation could not be completed immediately",
            NotReady,
            Some("WSAEWOULDBLOCK"),
        ),
        (
            Linux,
            "InterruptedError: [Errno 4] Interrupted system call",
            Interrupted,
            Some("EINTR"),
        ),
        (
            Linux,
            "TimeoutError: [Errno 110] Connection timed out",
            Timeout,
            Some("ETIMEDOUT"),
        ),
        (Linux, "socket.timeout: timed out", Timeout, None),
        (
            Linux,
            "asyncio.exceptions.TimeoutError",
            Timeout,
            Some("ETIMEDOUT"),
        ),
        (
            Linux,
            "asyncio.exceptions.IncompleteReadError: 0 bytes read on a total of 4 expected bytes",
            Disconnected,
            None,
        ),
        (
            Linux,
            "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            Resolution,
            Some("EAI_AGAIN"),
        ),
        (
            MacOs,
            "socket.gaierror: [Errno 8] nodename nor servname provided, or not known",
            Resolution,
            Some("EAI_NONAME"),
        ),
        (
            MacOs,
            "urlopen error [Errno 8] nodename nor servname provided, or not known",
            Resolution,
            None,
        ),
        (
            Windows,
            "socket.gaierror: [Errno 11001] getaddrinfo failed",
            Resolution,
            Some("WSAHOST_NOT_FOUND"),
        ),
        (
            Linux,
            "urlopen error [Errno -2] whatever",
            Resolution,
            Some("EAI_NONAME"),
        ),
        (
            Linux,
            "socket.gaierror: [Errno -10] Memory allocation failure",
            LocalResources,
            Some("EAI_MEMORY"),
        ),
        (
            OpenBsd,
            "socket.gaierror: [Errno -5] no address",
            Resolution,
            Some("EAI_NODATA"),
        ),
        (
            Linux,
            "socket.herror: [Errno 1] Unknown host",
            Resolution,
            None,
        ),
        (
            Linux,
            "ssl.SSLEOFError: [Errno 8] EOF occurred in violation of protocol (_ssl.c:2396)",
            Tls,
            None,
        ),
        (
            Linux,
            "ssl.SSLZeroReturnError: TLS/SSL connection has been closed (EOF)",
            Tls,
            None,
        ),
        (
            Linux,
            "ssl.SSLError: [SSL: BAD_LENGTH] bad length (_ssl.c:2396)",
            Tls,
            None,
        ),
        (
            Linux,
            "ssl.SSLError: [Errno 1] _ssl.c:504: error:140943FC",
            Tls,
            None,
        ),
        (
            Linux,
            "ssl.SSLWantReadError: The operation did not complete (read)",
            NotReady,
            None,
        ),
        (
            Linux,
            "OSError: [Errno 24] Too many open files",
            LocalResources,
            Some("EMFILE"),
        ),
        (
            Linux,
            "OSError: [Errno 98] Address already in use",
            Misuse,
            Some("EADDRINUSE"),
        ),
        (
            FreeBsd,
            "OSError: [Errno 48] Address already in use",
            Misuse,
            Some("EADDRINUSE"),
        ),
        (
            Linux,
            "PermissionError: [Errno 13] Permission denied",
            Permission,
            Some("EACCES"),
        ),
        (
            Linux,
            "OSError: [Errno 90] Message too long",
            Misuse,
            Some("EMSGSIZE"),
        ),
        // Rust.
        (
            Linux,
            "Os { code: 104, kind: ConnectionReset, message: \"Connection reset by peer\" }",
            Disconnected,
            Some("ECONNRESET"),
        ),
        (
            Linux,
            "Os { code: 112, kind: Uncategorized, message: \"Host is down\" }",
            Network,
            Some("EHOSTDOWN"),
        ),
        (
            Linux,
            "Error: Connection refused (os error 111)",
            Disconnected,
            Some("ECONNREFUSED"),
        ),
        (
            MacOs,
            "Error: Connection refused (os error 61)",
            Disconnected,
            Some("ECONNREFUSED"),
        ),
        (
            Linux,
            "Custom { kind: Uncategorized, error: \"failed to lookup address information: Name or service not known\" }",
            Resolution,
            None,
        ),
        (
            Linux,
            "Custom { kind: InvalidData, error: AlertReceived(UnknownCA) }",
            Tls,
            None,
        ),
        (
            Linux,
            "Custom { kind: UnexpectedEof, error: \"peer closed connection without sending TLS close_notify\" }",
            Tls,
            None,
        ),
        (Linux, "invalid peer certificate: UnknownIssuer", Tls, None),
        (Linux, "Kind(TimedOut)", Timeout, None),
        (Linux, "deadline has elapsed", Timeout, None),
        // Others.
        (
            Linux,
            "write tcp 10.0.0.1:80->10.0.0.2:999: write: broken pipe",
            Disconnected,
            Some("EPIPE"),
        ),
        (
            Linux,
            "dial tcp: lookup nowhere on 1.1.1.1:53: no such host",
            Resolution,
            None,
        ),
        (Linux, "read tcp 10.0.0.1:80: i/o timeout", Timeout, None),
        (Linux, "remote error: tls: bad certificate", Tls, None),
        (
            Linux,
            "Error: connect ECONNREFUSED 127.0.0.1:80",
            Disconnected,
            Some("ECONNREFUSED"),
        ),
        (Linux, "  errno: -104,", Disconnected, Some("ECONNRESET")),
        (
            Linux,
            "java.net.SocketException: Connection reset",
            Disconnected,
            Some("ECONNRESET"),
        ),
        (
            Linux,
            "java.net.UnknownHostException: nowhere",
            Resolution,
            None,
        ),
        (
            Linux,
            "curl: (6) Could not resolve host: nowhere",
            Resolution,
            None,
        ),
    ]
};

#[test]
fn lines_of_real_logs() {
    for (platform, line, class, name) in LINES {
        let finding = line::read(line, *platform);
        let finding = finding.unwrap_or_else(|| panic!("unknown on {platform}: {line}"));
        assert_eq!(finding.class, *class, "{platform}: {line}");
        assert_eq!(
            finding.error.map(|error| error.name()),
            *name,
            "{platform}: {line}"
        );
    }
}

/// What tells of no error, or of one that is not known here.
#[test]
fn lines_that_are_unknown() {
    for (platform, line) in [
        (Linux, ""),
        (Linux, "Traceback (most recent call last):"),
        (Linux, "  File \"/srv/app.py\", line 104, in send"),
        (Linux, "ERROR 104 things done"),
        (Linux, "EOF"),
        (Linux, "listening on port 104"),
        (Linux, "104 bytes"),
        (Linux, "10054"),
        (Linux, "myerrno 104"),
        (Linux, "errno 99999999999999999999"),
        (Linux, "errno -2147483648"),
        (Linux, "errno"),
        (Linux, "[Errno ]"),
        (MacOs, "ENONET"),
        // The C library's number: 5 is ERROR_ACCESS_DENIED of Windows itself.
        (Windows, "OSError: [Errno 5] whatever"),
    ] {
        assert_eq!(line::read(line, platform), None, "{platform}: {line}");
    }
}

/// The messages are those of this system's library, so far as they stand for a connection's errors.
#[cfg(target_os = "linux")]
#[test]
fn messages_of_the_c_library() {
    let facts = include_str!("../data/connection_errors.tsv").lines();
    let mut known = 0;
    for line in facts.filter(|line| !line.starts_with(['#']) && !line.starts_with("EAI_")) {
        let name = line.split('\t').next().unwrap();
        let error = OsError::from_name(name, Linux).unwrap();
        let message = std::io::Error::from_raw_os_error(error.code()).to_string();
        let (message, _) = message.split_once(" (os error").unwrap();
        match line::read(message, Linux) {
            Some(finding) => {
                assert_eq!(finding.error, Some(error), "{message}");
                known += 1;
            }
            // A message of a mistake in the program may be unknown, one of a connection may not.
            None => assert_eq!(error.class(), ErrorClass::Misuse, "{message}"),
        }
    }
    assert!(known >= 25, "{known}");
}

fn platforms() -> impl Strategy<Value = Platform> {
    prop::sample::select(vec![Linux, MacOs, FreeBsd, OpenBsd, Windows])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_line_panics(line in ".{0,60}", platform in platforms()) {
        line::read(&line, platform);
    }

    /// Pieces that mean something, put together in any way.
    #[test]
    fn no_line_of_known_pieces_panics(
        pieces in prop::collection::vec(prop_oneof![
            Just("Errno".to_owned()), Just("errno".to_owned()), Just("os error".to_owned()),
            Just("Os { code".to_owned()), Just("WinError".to_owned()), Just("gaierror".to_owned()),
            Just("0x".to_owned()), Just("-".to_owned()), Just(" ".to_owned()), Just("[".to_owned()),
            Just("é".to_owned()), Just("_".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            "[A-Z]{1,6}",
        ], 0..8),
        platform in platforms(),
    ) {
        line::read(&pieces.concat(), platform);
    }

    /// Whatever stands around it, a name is found, and its number behind "errno" too.
    #[test]
    fn a_name_is_found_anywhere(code in 1..130, before in "[a-z :]{0,20}", after in "[a-z :]{0,20}") {
        let Some(error) = OsError::from_code(code, Linux) else { return Ok(()) };
        let line = format!("{before} {} {after}", error.name());
        prop_assert_eq!(line::read(&line, Linux), Some(error.into()));
    }
}

fn run(arguments: &[&str], log: &[u8]) -> Output {
    let mut child = Command::new(binary("classify_log"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early does not read it all.
    let _ = stdin.write_all(log);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn the_program_marks_each_line() {
    let log = b"Traceback (most recent call last):\n\
        ConnectionResetError: [Errno 104] Connection reset by peer\n\
        not UTF-8: \xff\n\
        errno 110";
    let output = run(&["--platform", "linux"], log);
    assert!(output.status.success());
    let expected: &[u8] = b"[?] Traceback (most recent call last):\n\
        [disconnected, ECONNRESET: send again on a new connection] \
        ConnectionResetError: [Errno 104] Connection reset by peer\n\
        [?] not UTF-8: \xff\n\
        [timeout, ETIMEDOUT: send again on a new connection; what was sent may have arrived] errno 110\n";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(expected)
    );
    assert_eq!(output.stdout, expected);
}

#[test]
fn the_program_reads_another_platforms_numbers() {
    let output = run(&["--platform", "windows"], b"10061\n104\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "[disconnected, WSAECONNREFUSED: send again on a new connection] 10061\n[?] 104\n"
    );
}

#[test]
fn the_program_refuses_what_it_does_not_know() {
    for arguments in [
        &["--platform", "amiga"][..],
        &["--platform"],
        &["--nonsense"],
        &["file.log"],
    ] {
        let output = run(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("usage:"),
            "{arguments:?}"
        );
    }
    let output = run(&["--help"], b"");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("usage:"));
}

/// A reader that has seen enough is no failure.
#[test]
fn the_program_ends_quietly_with_its_reader() {
    let mut child = Command::new(binary("classify_log"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(b"errno 104\nerrno 104\n");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
