//! Every example when nobody reads its output, as behind `| head -1`.

use crate::process::{DEADLINE, binary};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Those that this test was built with.
const EXAMPLES: &[&str] = &[
    "classify_log",
    "detection",
    "dev_zero",
    "file_server",
    #[cfg(feature = "outbox")]
    "mqtt",
    "proxy",
    #[cfg(feature = "outbox")]
    "robot",
    #[cfg(feature = "tls")]
    "tls_server",
    #[cfg(feature = "axum")]
    "tokens",
    "yes",
];

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let writer = reader.stdin.take().unwrap();
    // Not `wait`, which would close our end too.
    while reader.try_wait().unwrap().is_none() {
        thread::yield_now();
    }
    writer.into()
}

#[test]
fn help_does_not_panic() {
    for example in EXAMPLES {
        let mut command = Command::new(binary(example));
        command.arg("--help").stdout(closed());
        let output = command
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{example}: {output:?}");
        assert_eq!(output.stderr, b"", "{example}");
        let mut command = Command::new(binary(example));
        let status = command.arg("--nonsense").stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{example}");
    }
}

/// Reads the first line, and leaves.
fn head(command: &mut Command) -> (Child, String) {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(closed());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    (child, line)
}

/// The exit code, which must come.
fn code(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "still running");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// A server goes on for its other clients, and ends as it is asked to.
#[test]
fn a_server_goes_on() {
    let mut server = Command::new(binary("file_server"));
    server.args(["--root", ".", "--listen", "127.0.0.1:0"]);
    let (mut child, line) = head(&mut server);
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    for _ in 0..3 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client
            .write_all(b"GET /Cargo.toml HTTP/1.1\r\nHost: test\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        BufReader::new(client).read_line(&mut answer).unwrap();
        assert_eq!(answer, "HTTP/1.1 200 OK\r\n");
    }
    assert_eq!(child.try_wait().unwrap(), None);
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(code(&mut child), Some(0));
}

/// A program that computes something ends as if it were read.
#[test]
fn a_program_that_ends_ends_well() {
    #[cfg(feature = "axum")]
    {
        let mut tokens = Command::new(binary("tokens"));
        let (mut child, _) = head(tokens.args(["--drive", "--tokens", "20", "--work", "1"]));
        assert_eq!(code(&mut child), Some(0));
    }
    let mut zero = Command::new(binary("dev_zero"));
    let (mut child, line) = head(zero.args(["--clients", "1"]));
    let address = line.split([' ', ';']).nth(2).unwrap();
    drop(TcpStream::connect(address).unwrap());
    assert_eq!(code(&mut child), Some(0));
}
