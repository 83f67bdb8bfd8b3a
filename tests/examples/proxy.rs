//! `proxy`, between real clients and a server of this test.

use crate::process::{DEADLINE, Example, binary, explains, number, refuses};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

/// A proxy, its address, and the server behind it.
struct Proxy {
    example: Example,
    address: String,
    server: TcpListener,
    /// The dashboard's.
    link: Option<String>,
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
        let link = options.contains(&"--dashboard").then(|| {
            let line = example.line("dashboard: ");
            line["dashboard: ".len()..].to_owned()
        });
        let line = example.line(" (Ctrl-C ends it)");
        let address = line.split(' ').next().unwrap().to_owned();
        Self {
            example,
            address,
            server,
            link,
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
    // Closed with unread input: a reset (RFC 1122, section 4.2.2.13). Without any it would be a FIN.
    assert_eq!(client.peek(&mut [0]).unwrap(), 1);
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
fn a_signal_drains_and_a_second_one_ends_what_runs() {
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
    proxy.example.terminate();
    proxy.example.line("ending: no new connections");
    // The running connection goes on until a second signal, or until the time to drain is over.
    client.write_all(b"two").unwrap();
    server.read_exact(&mut [0; 3]).unwrap();
    proxy.example.interrupt();
    let (line, _) = proxy.line(&name(&client));
    assert!(line.ends_with(", ended by the proxy"), "{line}");
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    let (status, rest) = proxy.example.end();
    assert!(status.success(), "{rest:#?}");
    assert_eq!(
        rest[0],
        "2 connections, 0 without a server; 11 bytes from clients, 0 from servers"
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

#[test]
fn a_dashboard_has_a_listener_of_its_own() {
    let mut proxy = Proxy::start(&["--dashboard", "127.0.0.1:0"]);
    let link = proxy.link.take().unwrap();
    let (address, token) = link.split_once("/?token=").unwrap();
    let address = address.trim_start_matches("http://");
    let (client, _server) = proxy.connect();
    let server = proxy.server.local_addr().unwrap().to_string();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = scrape(address, token, "/");
        let mut peers = [name(&client), server.clone()].into_iter();
        if peers.all(|peer| page.contains(&format!(">{peer}<"))) {
            break;
        }
        assert!(Instant::now() < deadline, "{page}");
    }
    let metrics = scrape(address, token, "/metrics");
    assert!(
        metrics.contains("\nhangup_dashboard_connections_open 2\n"),
        "{metrics}"
    );
    assert!(scrape(address, "wrong", "/").starts_with("HTTP/1.1 401 "));
}

fn scrape(address: &str, token: &str, path: &str) -> String {
    let mut page = TcpStream::connect(address).unwrap();
    page.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    page.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(feature = "tracing")]
#[test]
fn the_closes_are_traced() {
    let mut proxy = Proxy::start(&["--trace"]);
    let (client, _server) = proxy.connect();
    let name = name(&client);
    drop(client);
    let line = proxy.example.line(&format!("peer={name}"));
    assert!(line.contains("reason=\"peer_closed\""), "{line}");
}

#[cfg(not(feature = "tracing"))]
#[test]
fn what_was_not_built_in_is_told() {
    let output = Command::new(binary("proxy"))
        .args(["--trace", "127.0.0.1:0", "127.0.0.1:1"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--features tracing"), "{text}");
}

#[test]
fn the_command_line_is_explained() {
    explains("proxy", "--half-close");
    refuses("proxy", &["127.0.0.1:0"], "<TARGET>");
    refuses("proxy", &["nonsense"], "nonsense");
}
