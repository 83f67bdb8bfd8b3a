//! The recipes that need a framework: a client, or a server, leaves each of them in two ways, and the recipe says that it
//! has stopped.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/examples/example.rs"]
#[allow(dead_code, reason = "the recipes use a part")]
mod example;
#[path = "../../tests/examples/leaving.rs"]
mod leaving;

use example::Example;
use leaving::{BOTH, STOPPED, client, listening, stops};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// A request whose body stays unread, and so hides the end from the framework.
const POST: &str = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n012345";
const GET: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

fn start(recipe: &str) -> (Example, String) {
    listening(Command::new(recipe).arg("127.0.0.1:0"))
}

/// A report that is given up.
fn gives_up(recipe: &str, binary: &str, request: &str) {
    let (mut example, address) = start(binary);
    for (leaving, reason) in BOTH {
        let client = client(&address, request, false);
        example.line("at work");
        stops(recipe, &mut example, client, leaving, reason);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn actix_web() {
    gives_up("actix_web", env!("CARGO_BIN_EXE_actix_web"), POST);
}

/// The second request waits behind the first one.
#[test]
fn poem() {
    let requests = GET.repeat(2);
    gives_up("poem", env!("CARGO_BIN_EXE_poem"), &requests);
}

#[test]
fn warp() {
    let (mut example, address) = start(env!("CARGO_BIN_EXE_warp"));
    for (leaving, reason) in BOTH {
        let client = client(&address, GET.replace("/ ", "/events "), true);
        stops("warp", &mut example, client, leaving, reason);
    }
}

/// A call of gRPC, in bytes: the preface and the frames of HTTP/2 (RFC 9113), whose head has literals only (RFC 7541).
fn call(path: &str) -> Vec<u8> {
    let literal = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let head = [
        // POST, http, :path, :authority
        &[0x83, 0x86, 0x04][..],
        &literal(path),
        &[0x01],
        &literal("test"),
        // content-type
        &[0x0f, 0x10],
        &literal("application/grpc"),
        &[0x00],
        &literal("te"),
        &literal("trailers"),
    ]
    .concat();
    let frame = |kind: u8, flags: u8, stream: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], content].concat()
    };
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        // END_HEADERS
        frame(1, 4, 1, &head),
        // END_STREAM: one message of no bytes
        frame(0, 1, 1, &[0; 5]),
    ]
    .concat()
}

#[test]
fn tonic_stream() {
    let (mut example, address) = start(env!("CARGO_BIN_EXE_tonic_stream"));
    for (leaving, reason) in BOTH {
        let client = client(&address, call("/grpc.health.v1.Health/Watch"), true);
        example.line("at work");
        stops("tonic_stream", &mut example, client, leaving, reason);
    }
}

/// What a server of PostgreSQL says to a client that it trusts: AuthenticationOk, and ReadyForQuery.
const READY: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// Takes a connection and its query, and does not answer that.
fn serve_a_query(server: &TcpListener, query: &str) -> TcpStream {
    let (mut connection, _) = server.accept().unwrap();
    connection.set_read_timeout(Some(STOPPED)).unwrap();
    let mut length = [0; 4];
    connection.read_exact(&mut length).unwrap();
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    connection.read_exact(&mut startup).unwrap();
    assert_eq!(startup[..4], [0, 3, 0, 0], "version 3.0 of the protocol");
    connection.write_all(READY).unwrap();
    let mut message = vec![0; 1 + 4 + query.len() + 1];
    connection.read_exact(&mut message).unwrap();
    assert_eq!(message[0], b'Q');
    assert_eq!(&message[5..message.len() - 1], query.as_bytes());
    connection
}

/// The server plays the handshake of PostgreSQL.
#[test]
fn tokio_postgres() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokio_postgres"));
    let query = "SELECT pg_sleep(3600)";
    let mut example = Example::start(command.args([&address, "user=test", query]));
    for (leaving, reason) in BOTH {
        let connection = serve_a_query(&server, query);
        stops("tokio_postgres", &mut example, connection, leaving, reason);
    }
    // It says why, and closes the session.
    let mut connection = serve_a_query(&server, query);
    let fatal = b"E\0\0\0\x26SFATAL\0VFATAL\0C57P01\0Mterminated\0\0";
    connection.write_all(fatal).unwrap();
    drop(connection);
    let line = example.line("stopped: ");
    assert!(
        line.ends_with("closed by peer; the client says: db error"),
        "{line}"
    );
    let mut connection = serve_a_query(&server, query);
    // CommandComplete, ReadyForQuery
    let complete = b"C\0\0\0\x0dSELECT 0\0Z\0\0\0\x05I";
    connection.write_all(complete).unwrap();
    example.line("0 rows");
    assert!(example.end().0.success());
}
