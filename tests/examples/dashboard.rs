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
    if options
        .iter()
        .any(|option| option.starts_with("--dashboard"))
    {
        server.example.line("dashboard on http://127.0.0.1:");
    }
    server
}

/// Asks for a page of the dashboard over `client`, with these headers besides.
fn ask_over(mut client: TcpStream, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn look(server: &Server) -> String {
    let answer = ask_over(server.connect(), "/_hangup", "Host: localhost\r\n");
    assert_eq!(status(&answer), "200", "{answer}");
    body(&answer).to_owned()
}

/// The events, from the first line on.
fn watch(server: &Server) -> BufReader<TcpStream> {
    let mut client = server.connect();
    let request = "GET /_hangup/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
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
        let answer = ask_over(server.connect(), path, "Host: localhost\r\n");
        assert_eq!(status(&answer), "404", "{answer}");
    }
}

#[test]
fn it_is_for_this_host_only() {
    let mut server = start("this_host", &["--dashboard"]);
    for path in [
        "/_hangup",
        "/_hangup/",
        "/_hangup/events",
        "/_hangup/page.js",
    ] {
        for refused in [
            "",
            "Host:\r\n",
            "Host: evil.example\r\n",
            "Host: 127.0.0.1.evil.example\r\n",
            "Host: localhost.evil.example\r\n",
            "Host: 192.0.2.1\r\n",
            "Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n",
            "Host: localhost\r\nForwarded: for=192.0.2.1\r\n",
        ] {
            let answer = ask_over(server.connect(), path, refused);
            // Without the name of a host it is no HTTP/1.1.
            assert!(["403", "400"].contains(&status(&answer)), "{answer}");
            assert!(!answer.contains("<table"), "{answer}");
        }
    }
    server.example.line("GET /_hangup 403: ");
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080"] {
        let answer = ask_over(server.connect(), "/_hangup/", &format!("Host: {host}\r\n"));
        assert_eq!(status(&answer), "200", "{host}: {answer}");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
    }
}

/// A client that comes by an address of this machine's network does not come by loopback, and is
/// another host as far as the server can tell.
#[test]
fn others_are_refused_unless_all_are_let_in() {
    // Nothing is sent: it is only asked which address would be the sender's.
    let route = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = route
        .connect("192.0.2.1:9")
        .and_then(|()| route.local_addr());
    let Some(own) = own.ok().filter(|own| !own.ip().is_loopback()) else {
        println!("skipped: this machine has no address but loopback");
        return;
    };
    for (option, expected) in [("--dashboard", "403"), ("--dashboard=any", "200")] {
        let root = directory("others").join("root");
        fs::create_dir(&root).unwrap();
        let mut command = Command::new(binary("file_server"));
        command.arg("--root").arg(&root).arg(option);
        let server = Server::watch(command.args(["--listen", "0.0.0.0:0"]), root);
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        let client = TcpStream::connect((own.ip(), port)).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let answer = ask_over(client, "/_hangup", "Host: localhost\r\n");
        assert_eq!(status(&answer), expected, "{answer}");
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let answer = ask_over(client, "/_hangup", "Host: files.example\r\n");
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

#[test]
fn an_access_that_cannot_be_read_is_refused() {
    let output = Command::new(binary("file_server"))
        .args(["--root", ".", "--dashboard=all"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
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

/// The kernel accepts the whole file, and the line on standard output, which is printed then, calls it
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
    assert!(cut.contains("of <data value=\"2097152\""), "{cut}");
    let delivered = cut.split("class=\"delivered\"").nth(1).unwrap();
    let delivered = delivered.split("value=\"").nth(1).unwrap();
    let delivered: u64 = delivered.split('"').next().unwrap().parse().unwrap();
    assert!(0 < delivered && delivered < 1024 * 1024, "{cut}");
}

/// Onlookers never leave by themselves: a server that drains must not wait for them.
#[test]
fn a_drain_ends_the_events_after_the_last_download() {
    let mut server = start("drain_events", &["--dashboard"]);
    server.sparse("large.bin", LARGE);
    let mut client = server.begin("/large.bin", "");
    let mut events = watch(&server);
    server.example.interrupt();
    server.example.line("draining");
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

#[cfg(feature = "metrics")]
#[test]
fn prometheus_is_told() {
    let server = start("prometheus", &["--dashboard"]);
    server.sparse("large.bin", LARGE);
    drop(server.begin("/large.bin", ""));
    let mut events = watch(&server);
    wait_for(&mut events, "<tr id=\"e1\"");
    wait_for(&mut events, "data-column=\"Reason\"");
    let answer = ask_over(server.connect(), "/_hangup/metrics", "Host: localhost\r\n");
    assert_eq!(
        header(&answer, "content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let ended = "hangup_streams_ended_total{reason=\"reset\",detected_by=\"";
    assert!(body(&answer).contains(ended), "{answer}");
    assert!(
        body(&answer).contains("hangup_streams_opened_total 3"),
        "{answer}"
    );
    assert!(body(&answer).contains("hangup_streams_open 2"), "{answer}");
    let answer = ask_over(
        server.connect(),
        "/_hangup/metrics",
        "Host: evil.example\r\n",
    );
    assert_eq!(status(&answer), "403");
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
