//! `dev_zero`, with and without `hangup`.

use crate::process::{Example, explains, has, milliseconds, number};
use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};

const CHUNK: u64 = 1000;
const EVERY: f64 = 1000.0;

fn start(options: &[&str]) -> (Example, String) {
    Example::for_one_client("dev_zero", options)
}

/// The line about a client that takes the first chunk of a paced sender, and leaves.
fn leave_after_the_first_chunk(options: &[&str]) -> String {
    let paced = ["--every", "1000", "--chunk", "1000"];
    let (mut example, address) = start(&[&paced, options].concat());
    let mut client = TcpStream::connect(address).unwrap();
    client.read_exact(&mut [1; CHUNK as usize]).unwrap();
    drop(client);
    let line = example.line(" bytes accepted, ");
    assert!(example.end().0.success());
    line
}

#[test]
fn a_paced_sender_stops_at_once() {
    let line = leave_after_the_first_chunk(&[]);
    assert!(line.contains("accepted, closed by peer; "), "{line}");
    assert_eq!(number(&line, " bytes accepted"), CHUNK);
    assert_eq!(number(&line, " bytes produced after"), 0, "{line}");
    assert!(milliseconds(&line, " ms after") < EVERY / 2.0, "{line}");
}

#[test]
fn a_naive_paced_sender_learns_two_sends_late() {
    let line = leave_after_the_first_chunk(&["--naive"]);
    assert_eq!(number(&line, " bytes accepted"), 2 * CHUNK, "{line}");
    assert_eq!(number(&line, " bytes produced after"), 2 * CHUNK, "{line}");
    assert!(milliseconds(&line, " ms after") > EVERY / 2.0, "{line}");
}

#[test]
fn curl_is_killed_under_bulk() {
    if !has("curl") {
        return;
    }
    let (mut example, address) = start(&[]);
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--no-buffer"])
        .arg(format!("gopher://{address}/"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut taken = vec![1; 1024 * 1024];
    let mut zeros = curl.stdout.take().unwrap();
    zeros.read_exact(&mut taken).unwrap();
    assert!(taken.iter().all(|byte| *byte == 0));
    curl.kill().unwrap();
    curl.wait().unwrap();

    let line = example.line(" bytes accepted, ");
    assert!(line.contains(" by peer; "), "{line}");
    let accepted = number(&line, " bytes accepted");
    assert!(accepted >= taken.len() as u64, "{line}");
    // What is under way when the client leaves: far less than curl had taken.
    assert!(
        number(&line, " bytes produced after") < 1024 * 1024,
        "{line}"
    );
    assert!(example.end().0.success());
}

#[test]
fn the_command_line_is_explained() {
    explains("dev_zero", "--naive");
}
