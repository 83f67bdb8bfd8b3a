//! `tokens`, with and without `hangup`, by raw sockets, curl and Chromium.

use crate::browser::Browser;
use crate::process::{Example, binary, explains, has, number};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

fn start(options: &[&str]) -> (Example, String) {
    let mut command = Command::new(binary("tokens"));
    let mut example = Example::start(command.args(["--listen", "127.0.0.1:0"]).args(options));
    let line = example.line("listening on http://");
    let url = line.split(' ').nth(2).unwrap();
    (example, url.to_owned())
}

/// The line about an answer that its client has left; how many tokens were made for nobody.
fn for_nobody(example: &mut Example) -> (u64, String) {
    let line = example.line(" tokens made, ");
    (number(&line, " made for nobody"), line)
}

#[test]
fn a_socket_leaves() {
    let (mut example, url) = start(&["--tokens", "100000"]);
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"GET /tokens HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(client).lines();
    for _ in 0..3 {
        let token = |line: &Result<String, _>| line.as_ref().unwrap().starts_with("data:");
        assert!(lines.by_ref().any(|line| token(&line)));
    }
    drop(lines);
    let (for_nobody, line) = for_nobody(&mut example);
    assert!(for_nobody <= 1, "{line}");
    assert!(line.contains(" by peer; "), "{line}");
}

#[test]
fn curl_takes_all_of_it() {
    if !has("curl") {
        return;
    }
    let (mut example, url) = start(&["--tokens", "5"]);
    let curl = Command::new("curl")
        .args(["--silent", &format!("{url}tokens")])
        .output()
        .unwrap();
    let events = String::from_utf8(curl.stdout).unwrap();
    // Five tokens, and the end.
    assert_eq!(events.matches("data:").count(), 6, "{events}");
    assert!(events.contains("event: end"), "{events}");
    let (for_nobody, line) = for_nobody(&mut example);
    assert_eq!(for_nobody, 0, "{line}");
    assert!(
        line.contains(" 5 tokens made, 5 taken by HTTP, complete; "),
        "{line}"
    );
}

/// A tab is closed in the midst of an answer.
#[test]
fn a_tab_is_closed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let leave = |options: &[&str]| {
        let (mut example, url) = start(options);
        let tab = browser.open(&url);
        tab.evaluate("document.getElementById('ask').click()");
        tab.wait(
            "five tokens",
            "Number(document.getElementById('count').textContent) >= 5",
        );
        tab.close();
        for_nobody(&mut example)
    };
    let (for_nobody, line) = leave(&["--tokens", "100000"]);
    assert!(for_nobody <= 1, "{line}");
    assert!(line.contains(" by peer; "), "{line}");
    println!("{line}");

    let (_example, url) = start(&["--tokens", "5"]);
    let tab = browser.open(&url);
    tab.evaluate("document.getElementById('ask').click()");
    tab.wait(
        "the end of the answer",
        "document.getElementById('state').textContent == 'complete'",
    );

    let (for_nobody, line) = leave(&["--tokens", "300", "--naive"]);
    assert!(
        for_nobody > 1 && line.contains(" 300 tokens made, "),
        "{line}"
    );
    println!("{line}");
}

#[test]
fn it_plays_the_client_itself() {
    let mut command = Command::new(binary("tokens"));
    command.args(["--drive", "--tokens", "100", "--work", "5"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    let row = |name| {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        let cells = row.split_whitespace().skip(1).take(3);
        cells
            .map(|cell| cell.parse().unwrap())
            .collect::<Vec<u32>>()
    };
    let [made, taken, for_nobody] = row("hangup")[..] else {
        panic!("{table}")
    };
    assert!(made < 100 && taken >= 10 && for_nobody <= 1, "{table}");
    let [made, taken, for_nobody] = row("naive")[..] else {
        panic!("{table}")
    };
    assert!(made == 100 && taken < 100 && for_nobody > 1, "{table}");
}

#[test]
fn the_command_line_is_explained() {
    explains("tokens", "--naive");
}
