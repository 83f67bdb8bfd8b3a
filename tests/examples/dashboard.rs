//! `file_server --dashboard`, asked by raw sockets.

use crate::process::{DEADLINE, binary, directory};
use crate::server::{Server, body, header, status};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

/// More than HTTP and the sockets buffer.
const LARGE: u64 = 64 * 1024 * 1024;

pub(crate) fn start(test: &str, options: &[&str]) -> Server {
    let root = directory(test).join("root");
    fs::create_dir(&root).unwrap();
    let mut command = Command::new(binary("file_server"));
    command.arg("--root").arg(&root).args(options);
    let mut server = Server::run(&mut command, root);
    if options.contains(&"--dashboard") {
        let line = server.example.line("dashboard: ");
        let (url, token) = line["dashboard: ".len()..].split_once("?token=").unwrap();
        assert_eq!(url, format!("http://{}/_hangup", server.address));
        server.token = token.to_owned();
    }
    server
}

/// Asks for a page of the dashboard, with the token.
fn ask(server: &Server, path: &str) -> String {
    server.ask(path, &authorization(server))
}

fn authorization(server: &Server) -> String {
    format!("Authorization: Bearer {}\r\n", server.token)
}

fn look(server: &Server) -> String {
    let answer = ask(server, "/_hangup");
    assert_eq!(status(&answer), "200", "{answer}");
    body(&answer).to_owned()
}

/// The events, from the first line on.
fn watch(server: &Server) -> BufReader<TcpStream> {
    let mut client = server.connect();
    let authorization = authorization(server);
    let request = format!("GET /_hangup/events HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut events = BufReader::new(client);
    wait_for(&mut events, "data: <section aria-label=\"Totals\">");
    events
}

/// Reads on to the line that contains `part`.
fn wait_for(events: &mut BufReader<TcpStream>, part: &str) {
    let deadline = Instant::now() + DEADLINE;
    let mut line = String::new();
    while !line.contains(part) {
        assert!(Instant::now() < deadline, "no event has {part:?}");
        line.clear();
        let bytes = events.read_line(&mut line).unwrap();
        assert_ne!(bytes, 0, "the events end before {part:?}");
    }
}

#[test]
fn there_is_none_unless_asked_for() {
    let server = start("no_dashboard", &[]);
    for path in ["/_hangup", "/_hangup/events", "/_hangup/page.js"] {
        assert_eq!(status(&server.ask(path, "")), "404");
    }
}

/// A proxy on this host passes everybody on: neither the address nor a header opens it, only the token.
#[test]
fn it_wants_the_token() {
    let server = start("token", &["--dashboard"]);
    for path in [
        "/_hangup",
        "/_hangup/",
        "/_hangup/events",
        "/_hangup/metrics",
    ] {
        for headers in [
            "",
            "X-Forwarded-For: 127.0.0.1\r\n",
            "Authorization: Bearer none\r\n",
        ] {
            let answer = server.ask(path, headers);
            assert_eq!(status(&answer), "401", "{path}: {answer}");
            assert!(
                !answer.contains("<table") && !answer.contains(&server.token),
                "{answer}"
            );
        }
    }
    let answer = ask(&server, "/_hangup");
    assert_eq!(status(&answer), "200");
    let policy = header(&answer, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
}

#[test]
fn hostile_names_are_text() {
    let server = start("hostile", &["--dashboard"]);
    let evil = "/%3Cscript%3Ealert(1)%3C%2Fscript%3E%22'%26%E2%80%AE%00%0A%FF%C3%BC";
    server.ask(evil, "");
    server.ask(&format!("/{}", "long".repeat(60)), "");
    let page = look(&server);
    let shown = "GET /&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\
        \\u{202e}\\u{0}\\u{a}\u{fffd}ü 404";
    assert!(page.contains(shown), "{page}");
    assert!(!page.contains("alert(1)</script>"), "{page}");
    assert!(page.contains("longlon… 404"), "{page}");
    assert!(page.len() < 8192, "{page}");
}

#[test]
fn the_list_of_the_ended_is_bounded() {
    let server = start("bounded", &["--dashboard"]);
    for number in 0..60 {
        server.ask(&format!("/number-{number}-"), "");
    }
    let page = look(&server);
    let (_, ended) = page.split_once("<section id=\"ended\"").unwrap();
    let rows: Vec<_> = ended
        .lines()
        .filter(|line| line.contains("GET /number"))
        .collect();
    assert_eq!(rows.len(), 50);
    for (row, number) in rows.iter().zip((10..60).rev()) {
        assert!(row.contains(&format!("/number-{number}-")), "{row}");
    }
    assert!(
        page.contains("<dt>Ended responses</dt><dd>60</dd>"),
        "{page}"
    );
}

/// HTTP takes the whole file, and the line on standard output, which is printed then, calls it
/// complete. But the client leaves with most of it unread, and so never had it.
#[cfg(target_os = "linux")]
#[test]
fn what_was_accepted_and_not_delivered_is_cut_short() {
    let mut server = start("undelivered", &["--dashboard"]);
    server.sparse("fits.bin", 2 * 1024 * 1024);
    let client = server.begin("/fits.bin", "");
    let line = server.example.line("GET /fits.bin 200: ");
    assert!(line.ends_with("complete"), "{line}");
    let row = |page: &str| {
        let row = page.lines().find(|line| line.contains(" id=\"e1\""));
        row.unwrap().to_owned()
    };
    let sent = row(&look(&server));
    assert!(sent.contains(">sent<"), "{sent}");

    let mut events = watch(&server);
    drop(client);
    wait_for(&mut events, "reset by peer before all was acknowledged");
    let cut = row(&look(&server));
    assert!(cut.contains("<data value=\"2097152\""), "{cut}");
}

/// Onlookers never leave by themselves: a server that drains must not wait for them.
#[test]
fn a_drain_ends_the_events_after_the_last_download() {
    let mut server = start("drain_events", &["--dashboard"]);
    server.sparse("large.bin", LARGE);
    let mut client = server.begin("/large.bin", "");
    let mut events = watch(&server);
    server.example.interrupt();
    server.example.line("ending: ");
    // Goes on as long as there is something to see.
    wait_for(&mut events, "data: <section aria-label=\"Totals\">");
    wait_for(&mut events, "data: <section aria-label=\"Totals\">");
    client.read_to_end(&mut Vec::new()).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut line = String::new();
    while events.read_line(&mut line).unwrap() > 0 {
        assert!(Instant::now() < deadline, "the events go on");
    }
    let (status, rest) = server.example.end();
    assert_eq!(status.code(), Some(0));
    // Who looks is no client of the files.
    assert!(
        !rest.iter().any(|line| line.contains("_hangup")),
        "{rest:?}"
    );
}

#[test]
fn prometheus_is_told() {
    let server = start("prometheus", &["--dashboard"]);
    server.sparse("large.bin", LARGE);
    let client = server.begin("/large.bin", "");
    let mut events = watch(&server);
    // The server waits for room, and is not in the middle of a call that sends.
    wait_for(&mut events, "class=\"stalled\"");
    drop(client);
    wait_for(&mut events, "<tr id=\"e1\"");
    wait_for(&mut events, "data-column=\"Reason\"");
    let answer = ask(&server, "/_hangup/metrics");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(header(&answer, "content-type"), kind);
    for line in [
        "hangup_dashboard_connections_open 0",
        "hangup_dashboard_connections_closed_total{reason=\"reset\"} 1",
        "hangup_dashboard_responses_total{outcome=\"cut_short\"} 1",
    ] {
        assert!(body(&answer).lines().any(|told| told == line), "{answer}");
    }
}

/// While somebody looks one task does it for all; when the last one has left nothing is left to do.
#[cfg(target_os = "linux")]
#[test]
fn nothing_runs_when_nobody_looks() {
    let server = start("nobody", &["--dashboard", "--stall", "off"]);
    server.sparse("large.bin", LARGE);
    let _stalled = server.begin("/large.bin", "");
    let mut onlookers = [watch(&server), watch(&server)];
    let before = switches(&server);
    for events in &mut onlookers {
        for _ in 0..3 {
            wait_for(events, "data: <section aria-label=\"Totals\">");
        }
    }
    assert!(switches(&server) > before + 2);
    let [one, other] = onlookers;
    drop(one);
    let mut other = other;
    wait_for(&mut other, "data: <section aria-label=\"Totals\">");
    drop(other);

    // A thread of tokio's for files may end in one of the first looks, never in all.
    let deadline = Instant::now() + DEADLINE;
    loop {
        let before = switches(&server);
        server.example.silent_for(std::time::Duration::from_secs(2));
        match switches(&server).abs_diff(before) {
            0 => break,
            some => assert!(Instant::now() < deadline, "woke {some} times in 2 s"),
        }
    }
}

/// How often the threads of the server have gone to sleep.
#[cfg(target_os = "linux")]
fn switches(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.example.id())).unwrap();
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let prefix = "voluntary_ctxt_switches:";
        let number = status.lines().find_map(|line| line.strip_prefix(prefix))?;
        number.trim().parse::<u64>().ok()
    };
    tasks.filter_map(|task| of_task(task.unwrap())).sum()
}
