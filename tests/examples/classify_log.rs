//! The example `classify_log`, as a user runs it.

use crate::process::{DEADLINE, binary};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

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

/// Every line was one without an error.
#[test]
fn a_log_in_utf_16_is_refused() {
    for (mark, bytes) in [
        (b"\xff\xfe", u16::to_le_bytes as fn(u16) -> [u8; 2]),
        (b"\xfe\xff", u16::to_be_bytes),
    ] {
        let mut log = mark.to_vec();
        log.extend("ECONNRESET\r\n".encode_utf16().flat_map(bytes));
        let output = run(&[], &log);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("iconv -f UTF-16"));
    }
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
            String::from_utf8_lossy(&output.stderr).contains("--help"),
            "{arguments:?}"
        );
    }
    let output = run(&["--help"], b"");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage:"));
}

#[test]
fn the_program_prints_json() {
    let output = run(
        &["--platform", "linux", "--json"],
        b"errno 104\nhello \"you\"\n",
    );
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [reset, hello] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(reset["class"], "disconnected");
    assert_eq!(reset["error"], "ECONNRESET");
    assert_eq!(reset["code"], 104);
    assert_eq!(reset["is_connection"], true);
    assert_eq!(reset["advice"], "send again on a new connection");
    assert_eq!(reset["line"], "errno 104");
    assert_eq!(hello["class"], serde_json::Value::Null);
    assert_eq!(hello["line"], "hello \"you\"");
}

#[test]
fn the_program_sums_up() {
    let log = b"errno 104\nhello\nerrno 32\n\x1b[31mread\x07: connection timed out\n";
    let output = run(&["--platform", "linux", "--summary"], log);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 6, "{table}");
    assert!(
        lines[1].starts_with("disconnected             2  send again"),
        "{table}"
    );
    assert_eq!(lines[2].trim(), "errno 104");
    assert!(
        lines[3].starts_with("timeout                  1  send again"),
        "{table}"
    );
    // No line of a log takes over the terminal.
    assert_eq!(lines[4].trim(), "read: connection timed out");
    assert!(
        lines[5].starts_with("no known error           1"),
        "{table}"
    );
}

fn start(arguments: &[&str]) -> Child {
    Command::new(binary("classify_log"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A line that is written to a log is answered before the next one comes: `tail -f | classify_log`.
#[test]
fn the_program_follows_a_growing_log() {
    let mut child = start(&["--platform", "linux"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        stdin.write_all(b"errno 104\n").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("[disconnected, ECONNRESET"), "{line}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Ctrl-C ends a log that is followed, and the summary comes all the same.
#[cfg(target_os = "linux")]
#[test]
fn the_summary_comes_on_ctrl_c() {
    use rustix::process::{Pid, Signal, kill_process};

    let mut child = start(&["--platform", "linux", "--summary"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"errno 104\n").unwrap();
    let pid = Pid::from_child(&child);
    let begin = std::time::Instant::now();
    // Until the handler is there and the line is read, the signal ends the program or finds no line.
    let mut stdout = child.stdout.take().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let handles = |status: &str| {
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0)
    };
    while !handles(&std::fs::read_to_string(&status).unwrap()) {
        assert!(begin.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
    kill_process(pid, Signal::INT).unwrap();
    let mut table = String::new();
    stdout.read_to_string(&mut table).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(table.starts_with("class "), "{table}");
    drop(stdin);
}

/// A reader that has seen enough is no failure, and the program says so.
#[test]
fn the_program_says_that_its_reader_has_gone() {
    for arguments in [&[][..], &["--json"]] {
        let mut child = start(arguments);
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(b"errno 104\nerrno 104\n");
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.contains("the reader of the output has gone away"),
            "{words}"
        );
        assert!(!words.contains("panicked"), "{words}");
    }
}

/// Nobody may read what the program says of it, either.
#[test]
fn a_closed_standard_error_is_no_panic() {
    let mut child = start(&[]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(b"errno 104\n");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A log without a line feed is passed on, and does not fill the memory.
#[test]
fn an_endless_line_passes() {
    let log = vec![b'x'; 5 << 20];
    let mut child = start(&[]);
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&log));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(output.stdout.len(), "[?] ".len() + (5 << 20) + 1);
}
