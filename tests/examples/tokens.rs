//! `tokens`, with and without `hangup`, by raw sockets, curl and Chromium.

use crate::browser::Browser;
use crate::process::{DEADLINE, Example, binary, explains, has, number};
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
    (number(&line, " made after the client had left"), line)
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
    assert!(line.contains(" 5 tokens made, complete; "), "{line}");
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
        let row = table.lines().find_map(|line| line.strip_prefix(name));
        let cells = row.unwrap().split_whitespace().take(2);
        let cells: Vec<u32> = cells.map(|cell| cell.parse().unwrap()).collect();
        (cells[0], cells[1])
    };
    let (made, for_nobody) = row("with hangup");
    assert!((10..100).contains(&made) && for_nobody <= 1, "{table}");
    let (made, for_nobody) = row("without");
    assert!(made == 100 && for_nobody > 1, "{table}");
}

/// HTTP/2 streams whose client gives them no window: they hold no thread and no processor, and others are
/// answered.
#[test]
fn unread_answers_starve_nobody() {
    // More than tokio has threads for blocking work (512).
    const CONNECTIONS: usize = 6;
    const STREAMS: usize = 100;
    let (mut example, url) = start(&["--tokens", "5", "--work", "1"]);
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let unread = runtime.block_on(async {
        let mut unread = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut builder = h2::client::Builder::new();
            let handshake = builder
                .initial_window_size(0)
                .handshake::<_, bytes::Bytes>(stream);
            let (mut client, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            for _ in 0..STREAMS {
                client = client.ready().await.unwrap();
                let request = hyper::Request::get(format!("{url}tokens"))
                    .body(())
                    .unwrap();
                let (response, _) = client.send_request(request, true).unwrap();
                unread.push(response.await.unwrap());
            }
        }
        unread
    });
    assert_eq!(unread.len(), CONNECTIONS * STREAMS);
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = b"GET /tokens HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(request).unwrap();
    let mut answer = BufReader::new(client).lines();
    assert!(answer.any(|line| line.unwrap() == "event: end"));
    example.line(" 5 tokens made, complete; 0 made after");
}

/// Nobody wants the body of a HEAD: its answer ends at once, though the connection goes on.
#[test]
fn a_head_computes_nothing() {
    let (mut example, url) = start(&["--tokens", "100000"]);
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut client = TcpStream::connect(address).unwrap();
    let request = b"HEAD /tokens HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(&request.repeat(20)).unwrap();
    for _ in 0..20 {
        let line = example.line(" tokens made, ");
        assert!(number(&line, " tokens made") <= 1, "{line}");
        assert!(line.contains("cancelled"), "{line}");
    }
}

#[test]
fn a_service_manager_ends_it() {
    let (example, _) = start(&[]);
    example.terminate();
    assert!(example.end().0.success());
}

#[test]
fn the_command_line_is_explained() {
    explains("tokens", "--naive");
}
