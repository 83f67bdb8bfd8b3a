//! The recipes of the cookbook: a client leaves each of them in two ways, and the recipe says that it has stopped.

use crate::example::Example;
use crate::leaving::{BOTH, Leaving, STOPPED, client, listening, stops};
use crate::process::{binary, directory};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

/// Starts a recipe that listens, on a free port.
fn start(recipe: &str, before: &[&str], after: &[&str]) -> (Example, String) {
    let mut command = Command::new(binary(&format!("cookbook_{recipe}")));
    listening(command.args(before).arg("127.0.0.1:0").args(after))
}

#[test]
fn log_tail() {
    let log = directory("log_tail").join("log");
    std::fs::write(&log, "an old line\n").unwrap();
    let (mut example, address) = start("log_tail", &[log.to_str().unwrap()], &[]);
    for (leaving, reason) in BOTH {
        let mut client = client(&address, "", true);
        let mut file = std::fs::File::options().append(true).open(&log).unwrap();
        file.write_all(b"a new line\n").unwrap();
        let mut line = [0; 11];
        client.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"a new line\n");
        stops("log_tail", &mut example, client, leaving, reason);
    }
}

#[test]
fn split_halves() {
    let (mut example, address) = start("split_halves", &[], &[]);
    for (leaving, reason) in BOTH {
        let client = client(&address, "one\ntwo\nthree\n", true);
        stops("split_halves", &mut example, client, leaving, reason);
    }
}

#[cfg(feature = "axum")]
#[test]
fn sse_thread() {
    let (mut example, address) = start("sse_thread", &[], &[]);
    for (leaving, reason) in BOTH {
        let client = client(&address, "GET /events HTTP/1.1\r\nhost: test\r\n\r\n", true);
        stops("sse_thread", &mut example, client, leaving, reason);
    }
}

/// The body of the request stays unread, and hides the end from hyper.
#[cfg(feature = "http")]
#[test]
fn hyper_server() {
    let request = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n012345";
    let (mut example, address) = start("hyper_server", &[], &[]);
    for (leaving, reason) in BOTH {
        let client = client(&address, request, false);
        example.line("at work");
        stops("hyper_server", &mut example, client, leaving, reason);
    }
}

/// The server behind accepts and does not answer; it is told too.
#[cfg(feature = "axum")]
#[test]
fn reverse_proxy() {
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = behind.local_addr().unwrap().to_string();
    let (mut example, address) = start("reverse_proxy", &[], &[&upstream]);
    // A request behind the first one hides the end from hyper.
    let request = "GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2);
    for (leaving, reason) in BOTH {
        let client = client(&address, &request, false);
        let (mut forwarded, _) = behind.accept().unwrap();
        let mut head = [0; 14];
        forwarded.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"GET / HTTP/1.1");
        stops("reverse_proxy", &mut example, client, leaving, reason);
        // The rest of the request, and then the end.
        forwarded.set_read_timeout(Some(STOPPED)).unwrap();
        forwarded.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[cfg(feature = "axum")]
#[test]
fn graceful_shutdown() {
    let (mut example, address) = start("graceful_shutdown", &[], &[]);
    let request = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    for (leaving, reason) in BOTH {
        let client = client(&address, request, true);
        stops("graceful_shutdown", &mut example, client, leaving, reason);
    }
    let _client = client(&address, request, true);
    example.interrupt();
    let line = example.line("connections are reset");
    assert!(line.starts_with("1 "), "{line}");
    let (status, _) = example.end();
    assert!(status.success());
}

/// The recipe's own client leaves in order.
#[cfg(feature = "ring")]
#[test]
fn tls_pair() {
    let started = Instant::now();
    let (mut example, _) = start("tls_pair", &[], &[]);
    let line = example.line("stopped: ");
    println!(
        "tls_pair: close_notify: {:.1?} after the start: {line}",
        started.elapsed()
    );
    assert!(line.ends_with("closed by peer"), "{line}");
}

#[cfg(feature = "hyper-client")]
#[test]
fn connection_pool() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let recipe = binary("cookbook_connection_pool");
    let mut example = Example::start(Command::new(recipe).arg(url));
    for (leaving, reason) in BOTH {
        let (mut connection, _) = server.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        connection.write_all(answer).unwrap();
        example.line("2 bytes");
        stops("connection_pool", &mut example, connection, leaving, reason);
    }
    assert!(example.end().0.success());
}

#[cfg(target_os = "linux")]
#[test]
fn child_process() {
    let recipe = binary("cookbook_child_process");
    let mut example = Example::start(Command::new(&recipe).args(["head", "-c", "100000"]));
    let line = example.line("stopped: ");
    assert!(
        line.contains("closed by peer") && line.contains("were read"),
        "{line}"
    );
    assert!(example.end().0.success());

    let mut example = Example::start(Command::new(recipe).args(["sleep", "1000"]));
    let child = example.line("started ");
    let killed = Instant::now();
    let id = child.rsplit(' ').next().unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", id])
            .status()
            .unwrap()
            .success()
    );
    let line = example.line("stopped: ");
    println!(
        "child_process: killed: stopped within {:.1?}: {line}",
        killed.elapsed()
    );
    assert!(killed.elapsed() < STOPPED);
}

/// A server resets the first connection after it has confirmed one message of three, and closes the second in order.
#[cfg(all(feature = "json", feature = "ring"))]
#[test]
fn outbox_tls_json() {
    use std::io::{BufRead, BufReader};
    use std::sync::Arc;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

    let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let certificate = directory("outbox_tls_json").join("certificate.der");
    std::fs::write(&certificate, made.cert.der()).unwrap();
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], made.signing_key.into())
        .unwrap();
    let config = Arc::new(config);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut example = Example::start(
        Command::new(binary("cookbook_outbox_tls_json"))
            .args([&*address, certificate.to_str().unwrap()]),
    );
    let mut confirmed = 0;
    let mut confirm = |example: &mut Example| {
        let socket = server.accept().unwrap().0;
        let tls = ServerConnection::new(config.clone()).unwrap();
        let mut tls = BufReader::new(StreamOwned::new(tls, socket.try_clone().unwrap()));
        let mut line = String::new();
        tls.read_line(&mut line).unwrap();
        confirmed += 1;
        assert_eq!(
            line,
            format!("{{\"number\":{confirmed},\"celsius\":21.5}}\n")
        );
        writeln!(tls.get_mut(), "ok {confirmed}").unwrap();
        example.line(&format!("confirmed {confirmed}"));
        (tls, socket)
    };
    let (tls, socket) = confirm(&mut example);
    drop(tls);
    stops(
        "outbox_tls_json",
        &mut example,
        socket,
        Leaving::Reset,
        "reset by peer",
    );
    let (mut tls, socket) = confirm(&mut example);
    tls.get_mut().conn.send_close_notify();
    tls.get_mut().flush().unwrap();
    stops(
        "outbox_tls_json",
        &mut example,
        socket,
        Leaving::Fin,
        "closed by peer",
    );
    drop(confirm(&mut example));
    assert!(example.end().0.success());
}

/// Neither client sends a close frame.
#[cfg(feature = "axum")]
#[test]
fn websocket() {
    let (mut example, address) = start("websocket", &[], &[]);
    for (leaving, reason) in BOTH {
        let stream = TcpStream::connect(&address).unwrap();
        let client = stream.try_clone().unwrap();
        let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
        assert!(socket.read().unwrap().is_text());
        drop(socket);
        stops("websocket", &mut example, client, leaving, reason);
    }
}
