//! How the example `classify_log` reads a line.

// An example is no library that a test could use.
#[path = "../../examples/classify_log/reading/mod.rs"]
mod reading;

use hangup::errors::{ErrorClass, OsError, Platform};
use proptest::prelude::*;
use reading::{Finding, Reader};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use Platform::{FreeBsd, Linux, MacOs, OpenBsd, Windows};

static READER: LazyLock<Reader> = LazyLock::new(Reader::new);

fn read(line: &str, platform: Platform) -> Option<Finding> {
    READER.read(line, platform)
}

/// Lines from real logs, and what they report.
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
        let finding = read(line, *platform);
        let finding = finding.unwrap_or_else(|| panic!("unknown on {platform}: {line}"));
        assert_eq!(finding.class, *class, "{platform}: {line}");
        assert_eq!(
            finding.error.map(|error| error.name()),
            *name,
            "{platform}: {line}"
        );
    }
}

/// A name behind an escape sequence looked like the end of another word: `[31mECONNRESET`. A sequence that is written out
/// comes from JSON, rsyslog or `cat -v`.
#[test]
fn colours_hide_nothing() {
    for begin in [
        "\x1b[", "\\u001b[", "\\u001B[", "\\x1b[", "\\033[", "#033[", "^[[",
    ] {
        for (platform, line, class, _) in LINES {
            let words = line
                .split(' ')
                .map(|word| format!("{begin}1;31m{word}{begin}0m"));
            let coloured = words.collect::<Vec<_>>().join(" ");
            let finding = read(&coloured, *platform);
            assert_eq!(finding, read(line, *platform), "{coloured}");
            assert_eq!(finding.map(|finding| finding.class), Some(*class));
        }
    }
    for (begun, whole) in [
        ("\x1b[31mECONNRESET\x1b[", "ECONNRESET"),
        ("Broken\x1b[0m pipe", "EPIPE"),
        ("\x1b[2K\x1b[?25l\x1b[38:2:1:2:3mETIMEDOUT", "ETIMEDOUT"),
    ] {
        let error = read(begun, Linux).and_then(|finding| finding.error);
        assert_eq!(error.map(|error| error.name()), Some(whole), "{begun}");
    }
}

/// Lines that report no error, or one that is not known.
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
        (Linux, "myerrno 104"),
        (Linux, "errno 99999999999999999999"),
        (Linux, "errno -2147483648"),
        (Linux, "errno"),
        (Linux, "[Errno ]"),
        // The C library's number: 5 is ERROR_ACCESS_DENIED of Windows itself.
        (Windows, "OSError: [Errno 5] whatever"),
    ] {
        assert_eq!(read(line, platform), None, "{platform}: {line}");
    }
}

/// Each line of a data file: its class, or `?`, and its text.
fn data(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap())
}

#[track_caller]
fn assert_all_read(file: &'static str) {
    let mut wrong = Vec::new();
    for (class, line) in data(file) {
        let found = read(line, Linux).map_or("?".to_owned(), |finding| finding.class.to_string());
        if found != class {
            wrong.push(format!("{found} instead of {class}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_of_many_languages_and_servers() {
    assert_all_read(include_str!("../data/log_lines.tsv"));
}

#[test]
fn lines_of_public_bug_reports() {
    assert_all_read(include_str!("../data/log_lines_field.tsv"));
    assert_all_read(include_str!("../data/log_lines_held_out.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_2.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_3.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_4.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_5.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_6.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_7.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_8.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_9.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_10.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_11.tsv"));
    assert_all_read(include_str!("../data/log_lines_field_12.tsv"));
}

/// A line of a log is an alarm only if it reports an error, whatever it mentions.
#[test]
fn no_false_alarm_in_ordinary_lines() {
    // The head of the file has two lines.
    let templates = include_str!("../data/log_lines_ordinary.txt")
        .lines()
        .skip(2);
    let mut random = fastrand::Rng::with_seed(104);
    let mut count = 0;
    for template in templates {
        for _ in 0..56 {
            let line = fill(template, &mut random);
            let found = read(&line, Linux);
            assert_eq!(found, None, "{line}");
            count += 1;
        }
    }
    assert!(count >= 10_000, "{count}");
}

fn fill(template: &str, random: &mut fastrand::Rng) -> String {
    const ERRNOS: [u32; 12] = [
        4, 11, 32, 54, 99, 104, 110, 111, 113, 10_035, 10_054, 10_060,
    ];
    const WORDS: [&str; 6] = ["api", "broker", "cart", "node7", "reset", "uplink"];
    let mut line = template.to_owned();
    while let Some(place) = line.find('{') {
        let number = match random.bool() {
            true => *random.choice(&ERRNOS).unwrap(),
            false => random.u32(0..70_000),
        };
        let rest = &line[place..];
        let (hole, filling) = if rest.starts_with("{n}") {
            ("{n}", number.to_string())
        } else if rest.starts_with("{ip}") {
            ("{ip}", format!("192.0.2.{}", number % 256))
        } else if rest.starts_with("{ms}") {
            ("{ms}", format!("{number}ms"))
        } else if rest.starts_with("{w}") {
            ("{w}", (*random.choice(&WORDS).unwrap()).to_owned())
        } else {
            ("{", "\u{1}".to_owned())
        };
        line.replace_range(place..place + hole.len(), &filling);
    }
    line.replace('\u{1}', "{")
}

/// A run of this project's own tests reports nothing, though their names mention every error there is.
#[test]
fn no_false_alarm_in_a_run_of_these_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = fs::read_dir(tests)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = folders
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let mut count = 0;
    for file in files {
        let Ok(source) = fs::read_to_string(file.unwrap().path()) else {
            continue;
        };
        let functions = source
            .split("fn ")
            .filter_map(|rest| rest.split_once("() {"));
        let is_name = |name: &&str| name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        for name in functions.map(|(name, _)| name).filter(is_name) {
            for line in [
                format!("test {name} ... ok"),
                format!("test {name} has been running for over 60 seconds"),
                format!("---- {name} stdout ----"),
            ] {
                assert_eq!(read(&line, Linux), None, "{line}");
            }
            count += 1;
        }
    }
    assert!(count >= 300, "{count}");
}

/// Every message of the C library is known, alone and as programs print it.
#[cfg(target_os = "linux")]
#[test]
fn messages_of_the_c_library() {
    for code in 1..134 {
        let Some(error) = OsError::from_code(code, Linux) else {
            continue;
        };
        let message = io::Error::from_raw_os_error(code).to_string();
        let (message, _) = message.split_once(" (os error").unwrap();
        for line in [
            message.to_owned(),
            format!("write: {message}"),
            format!("app: open /srv/x: {}", message.to_lowercase()),
            format!("OSError: [Errno {code}] {message}: '/srv/x'"),
            format!("accept() failed ({code}: {message}) while working"),
        ] {
            let found = read(&line, Linux).unwrap_or_else(|| panic!("unknown: {line}"));
            assert_eq!(found.class, error.class(), "{line}");
            assert_eq!(found.error, Some(error), "{line}");
        }
    }
}

/// The words of a message beat a number that is another platform's.
#[test]
fn words_beat_numbers() {
    for (line, name) in [
        ("OSError: [Errno 54] Connection reset by peer", "ECONNRESET"),
        ("OSError: [Errno 65] No route to host", "EHOSTUNREACH"),
        ("connect failed (61: Connection refused)", "ECONNREFUSED"),
        ("OSError: [Errno 60] Operation timed out", "ETIMEDOUT"),
    ] {
        let found = read(line, Linux).unwrap();
        assert_eq!(found.error, OsError::from_name(name, Linux), "{line}");
    }
}

/// The numbers of Windows' sockets are theirs wherever the log is read, and in any language.
#[test]
fn numbers_of_winsock_are_known_everywhere() {
    for platform in [Linux, MacOs, Windows] {
        for (line, name) in [
            ("10054", "WSAECONNRESET"),
            (
                "[WinError 10060] Ein Verbindungsversuch ist fehlgeschlagen",
                "WSAETIMEDOUT",
            ),
            (
                "远程主机强迫关闭了一个现有的连接。 (os error 10054)",
                "WSAECONNRESET",
            ),
            (
                "[Errno 10061] Aucune connexion n’a pu être établie",
                "WSAECONNREFUSED",
            ),
            ("send failed with error 10053", "WSAECONNABORTED"),
            ("read UDP: Unknown error (code=10054)", "WSAECONNRESET"),
            ("\"NativeErrorCode\": 10065,", "WSAEHOSTUNREACH"),
            ("[SocketException (0x2746): closed]", "WSAECONNRESET"),
            (
                "(10035, 'The socket operation could not complete without blocking')",
                "WSAEWOULDBLOCK",
            ),
        ] {
            let found = read(line, platform).unwrap_or_else(|| panic!("unknown: {line}"));
            let error = OsError::from_name(name, Windows).unwrap();
            assert_eq!(found.class, error.class(), "{line}");
        }
    }
}

fn platforms() -> impl Strategy<Value = Platform> {
    prop::sample::select(vec![Linux, MacOs, FreeBsd, OpenBsd, Windows])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_line_panics(line in ".{0,60}", platform in platforms()) {
        read(&line, platform);
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
        read(&pieces.concat(), platform);
    }

    /// A name is found, whatever words stand around it.
    #[test]
    fn a_name_is_found_anywhere(code in 1..130, before in "[a-z :]{0,20}", after in "[a-z :]{0,20}") {
        let Some(error) = OsError::from_code(code, Linux) else { return Ok(()) };
        let line = format!("{before} {} {after}", error.name());
        prop_assert_eq!(read(&line, Linux), Some(error.into()));
    }
}
