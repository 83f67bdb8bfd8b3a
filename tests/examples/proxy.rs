//! `proxy`, between real clients and a server of this test.

use crate::process::{DEADLINE, Example, binary, number};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;

/// A proxy, its address, and the server behind it.
struct Proxy {
    example: Example,
    address: String,
    server: TcpListener,
}

impl Proxy {
    fn start(options: &[&str]) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap().to_string();
        let mut example = Example::start(
            Command::new(binary("proxy"))
                .args(options)
                .args(["127.0.0.1:0", &target]),
        );
        let line = example.line(" (Ctrl-C: end)");
        let address = line.split(' ').next().unwrap().to_owned();
        Self {
            example,
            address,
            server,
        }
    }

    /// A client, and the server's end of its connection.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(&self.address).unwrap();
        let server = self.server.accept().unwrap().0;
        for peer in [&client, &server] {
            peer.set_read_timeout(Some(DEADLINE)).unwrap();
        }
        (client, server)
    }

    /// The line about `client`, without its address: what it says of the client, and of the server.
    fn line(&mut self, client: &str) -> (String, String) {
        let line = self.example.line(&format!("{client}: "));
        let (_, line) = line.split_once(": client: ").unwrap();
        let (client, server) = line.split_once("; server: ").unwrap();
        (client.to_owned(), server.to_owned())
    }
}

fn name(client: &TcpStream) -> String {
    client.local_addr().unwrap().to_string()
}

fn acknowledged(told: &str) -> Option<u64> {
    cfg!(target_os = "linux").then(|| number(told, " acknowledged"))
}

#[test]
fn a_client_that_leaves_ends_the_server_too() {
    let mut proxy = Proxy::start(&[]);
    let (mut client, mut server) = proxy.connect();
    server.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    client.write_all(&[7; 100_000]).unwrap();
    let name = name(&client);
    drop(client);
    let mut received = Vec::new();
    server.read_to_end(&mut received).unwrap();
    assert_eq!(received, [7; 100_000]);

    let (client, told) = proxy.line(&name);
    assert!(client.ends_with(", closed by peer"), "{client}");
    assert_eq!(number(&client, " bytes from it"), 100_000);
    assert_eq!(number(&client, " accepted"), 5);
    assert!(
        acknowledged(&client).is_none_or(|bytes| bytes == 5),
        "{client}"
    );
    assert_eq!(number(&told, " bytes from it"), 5);
    assert_eq!(number(&told, " accepted"), 100_000);
    assert!(
        acknowledged(&told).is_none_or(|bytes| bytes == 100_000),
        "{told}"
    );
}

/// The server sends without an end, the client takes a little and resets: the server is reset, and the line
/// tells how much the client had acknowledged.
#[test]
fn a_reset_under_load_is_passed_on() {
    let mut proxy = Proxy::start(&[]);
    let (mut client, mut server) = proxy.connect();
    let flood = std::thread::spawn(move || {
        loop {
            if let Err(error) = server.write_all(&[7; 65536]) {
                break error;
            }
        }
    });
    client.read_exact(&mut vec![0; 1 << 20]).unwrap();
    let name = name(&client);
    // Closed with unread input: a reset (RFC 1122, section 4.2.2.13).
    drop(client);
    let kind = flood.join().unwrap().kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{kind}"
    );
    let (client, server) = proxy.line(&name);
    assert!(client.ends_with(", reset by peer"), "{client}");
    assert!(server.contains(", stream aborted; "), "{server}");
    let accepted = number(&client, " accepted");
    assert!(accepted >= 1 << 20, "{client}");
    assert!(number(&server, " bytes from it") >= accepted, "{server}");
    // The last acknowledgement may have been put off, and then the reset came.
    if let Some(acknowledged) = acknowledged(&client) {
        assert!(0 < acknowledged && acknowledged <= accepted, "{client}");
    }
}

#[test]
fn a_half_close_is_passed_on_where_it_is_allowed() {
    let mut proxy = Proxy::start(&["--half-close"]);
    let (mut client, mut server) = proxy.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).unwrap();
    server.write_all(b"answer").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((&*question, &*answer), ("question", "answer"));
    let (client, server) = proxy.line(&name(&client));
    assert!(client.ends_with(", finished"), "{client}");
    assert!(server.contains(", finished; "), "{server}");
}

#[test]
fn ctrl_c_ends_what_runs_and_sums_up() {
    let mut proxy = Proxy::start(&[]);
    let (mut client, server) = proxy.connect();
    let name_of_first = name(&client);
    client.write_all(b"one").unwrap();
    drop(client);
    proxy.line(&name_of_first);
    drop(server);
    let (mut client, mut server) = proxy.connect();
    client.write_all(b"three").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    proxy.example.interrupt();
    let (line, _) = proxy.line(&name(&client));
    assert!(line.ends_with(", ended by the proxy"), "{line}");
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    let (status, rest) = proxy.example.end();
    assert!(status.success(), "{rest:#?}");
    assert_eq!(rest[0], "in all: 2 connections, 0 without a server");
    assert!(
        rest[1].starts_with("clients: 8 bytes from them, 0 accepted"),
        "{rest:#?}"
    );
    assert!(
        rest[1].ends_with(", ended_by_proxy 1, peer_closed 1"),
        "{rest:#?}"
    );
    assert!(
        rest[2].starts_with("servers: 0 bytes from them, 8 accepted"),
        "{rest:#?}"
    );
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let mut proxy = Proxy::start(&[]);
    let Proxy { server, .. } = &proxy;
    // Its port is free from here on.
    let gone = server.try_clone().unwrap();
    let address = proxy.address.clone();
    proxy.server = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(gone);
    let mut client = TcpStream::connect(address).unwrap();
    let line = proxy.example.line(": no server: ");
    assert!(line.starts_with(&name(&client)), "{line}");
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[cfg(feature = "metrics")]
#[test]
fn the_counters_are_served_for_prometheus() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut example = Example::start(Command::new(binary("proxy")).args([
        "--metrics",
        "127.0.0.1:0",
        "127.0.0.1:0",
        &target,
    ]));
    let line = example.line("metrics on http://");
    let page = line["metrics on http://".len()..]
        .trim_end_matches("/metrics")
        .to_owned();
    let line = example.line(" (Ctrl-C: end)");
    let mut proxy = Proxy {
        address: line.split(' ').next().unwrap().to_owned(),
        example,
        server,
    };
    let (mut client, mut server) = proxy.connect();
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    let open = scrape(&page);
    assert!(open.contains("\nhangup_streams_open 2\n"), "{open}");
    let name = name(&client);
    drop(client);
    proxy.line(&name);
    drop(server);
    let page = scrape(&page);
    for line in [
        "# TYPE hangup_streams_ended_total counter",
        "hangup_streams_opened_total 2",
        "hangup_streams_open 0",
        "hangup_bytes_read_total 5",
        "hangup_bytes_accepted_total 5",
        "hangup_stream_duration_seconds_count 2",
    ] {
        assert!(
            page.lines().any(|told| told == line),
            "no {line:?} in {page}"
        );
    }
    assert!(page.contains("reason=\"peer_closed\""), "{page}");
}

#[cfg(feature = "metrics")]
fn scrape(address: &str) -> String {
    let mut page = TcpStream::connect(address).unwrap();
    page.set_read_timeout(Some(DEADLINE)).unwrap();
    page.write_all(b"GET /metrics HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(feature = "tracing")]
#[test]
fn the_ends_are_traced_in_the_span_of_the_client() {
    let mut proxy = Proxy::start(&["--trace"]);
    let (client, _server) = proxy.connect();
    let name = name(&client);
    drop(client);
    let line = proxy.example.line("stream over: closed by peer");
    assert!(
        line.contains(&format!("connection{{client={name}}}")),
        "{line}"
    );
    assert!(line.contains("reason=\"peer_closed\""), "{line}");
    assert!(line.contains(&format!("peer={name}")), "{line}");
}

#[cfg(not(all(feature = "metrics", feature = "tracing")))]
#[test]
fn what_was_not_built_in_is_told() {
    #[cfg(not(feature = "metrics"))]
    refused(&["--metrics", "127.0.0.1:0"], "--features metrics");
    #[cfg(not(feature = "tracing"))]
    refused(&["--trace"], "--features tracing");
}

#[test]
fn the_command_line_is_explained() {
    let output = Command::new(binary("proxy"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("--half-close"));
    refused(&["127.0.0.1:0"], "TARGET is missing");
    refused(&["nonsense"], "nonsense");
}

fn refused(options: &[&str], why: &str) {
    let output = Command::new(binary("proxy"))
        .args(options)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(why) && told.contains("--help"), "{told}");
}
