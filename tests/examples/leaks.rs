//! No request of an example leaks: after some hundreds of them its process stands still, in memory, descriptors and
//! threads. `yes`, `detection` and `robot` serve nobody: they run once, and end.

#![cfg(target_os = "linux")]

use crate::process::{DEADLINE, Example, binary};
use crate::server::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

/// After so many requests a process has all the buffers and arenas that it needs.
const WARMUP: usize = 200;
const REQUESTS: usize = 600;
/// A process that grows in so many rounds of requests leaks.
const ROUNDS: usize = 3;
/// A handshake takes a debug build 30 ms.
const HANDSHAKES: usize = 40;
/// As much may an allocator keep more of what was freed, in kibibytes. A leak of 437 bytes a request exceeds it; what is
/// leaked by less, and in the library, the tests of `tests/leaks` find.
const SLACK: u64 = 256;

/// What a process has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holdings {
    /// Kibibytes of memory that no file backs: heap and stacks.
    memory: u64,
    descriptors: usize,
    threads: usize,
}

impl Holdings {
    fn of(process: u32) -> Self {
        let folder = |name: &str| {
            fs::read_dir(format!("/proc/{process}/{name}"))
                .unwrap()
                .count()
        };
        let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
        let anonymous = memory
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"));
        let kibibytes = anonymous.unwrap().trim().trim_end_matches(" kB");
        Self {
            memory: kibibytes.parse().unwrap(),
            descriptors: folder("fd"),
            threads: folder("task"),
        }
    }

    /// Once the connections of the last round are over, and tokio's idle threads have ended but for so many (they
    /// wait for 10 s for other work).
    fn at_rest(process: u32, descriptors: usize, threads: usize) -> Self {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let now = Self::of(process);
            let rests = now.descriptors <= descriptors && now.threads <= threads;
            if rests || Instant::now() > deadline {
                return now;
            }
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Fails if `example` has more after `requests` than before them, in each of [`ROUNDS`]: an allocator grows once more
/// where threads of the process meet in a new way, and a leak grows each time.
#[track_caller]
fn assert_stands_still(example: &Example, requests: usize, mut request: impl FnMut()) {
    request();
    let idle = Holdings::of(example.id()).descriptors;
    (0..WARMUP.min(requests)).for_each(|_| request());
    let mut seen = vec![Holdings::at_rest(example.id(), idle, usize::MAX)];
    for _ in 0..ROUNDS {
        (0..requests).for_each(|_| request());
        let before = *seen.last().unwrap();
        let threads = before.threads + 2;
        let after = Holdings::at_rest(example.id(), idle, threads);
        let stands_still = after.memory <= before.memory + SLACK
            && after.descriptors <= idle + 2
            && after.threads <= threads;
        if stands_still {
            return;
        }
        seen.push(after);
    }
    panic!("{requests} requests, {ROUNDS} times: {seen:?}");
}

/// Sends `request`, reads `bytes`, and leaves.
fn ask(address: &str, request: &[u8], bytes: usize) {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(request).unwrap();
    client.read_exact(&mut vec![0; bytes]).unwrap();
}

/// The word of the line that has `before`, which is an address.
fn address(example: &mut Example, before: &str) -> String {
    let line = example.line(before);
    let rest = &line[line.find(before).unwrap() + before.len()..];
    rest.split([' ', ';', '/']).next().unwrap().to_owned()
}

#[test]
fn a_client_of_dev_zero() {
    let mut example = Example::start(&mut Command::new(binary("dev_zero")));
    let address = address(&mut example, "listening on ");
    assert_stands_still(&example, REQUESTS, || ask(&address, b"", 100_000));
}

#[test]
fn a_request_to_file_server() {
    let server = Server::start("leaks");
    server.sparse("zeros", 100_000);
    let request = b"GET /zeros HTTP/1.1\r\nhost: test\r\n\r\n";
    // Half of the file: the client leaves in the middle.
    assert_stands_still(&server.example, REQUESTS, || {
        ask(&server.address, request, 50_000)
    });
}

#[test]
fn a_reader_of_tokens() {
    let mut command = Command::new(binary("tokens"));
    let options = ["--listen", "127.0.0.1:0", "--work", "0"];
    let mut example = Example::start(command.args(options));
    let address = address(&mut example, "listening on http://");
    // An answer to a HEAD has no body to be dropped with.
    let heads = "HEAD /tokens HTTP/1.1\r\nhost: test\r\n\r\n".repeat(5);
    let request = format!("{heads}GET /tokens HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_stands_still(&example, REQUESTS, || {
        ask(&address, request.as_bytes(), 200)
    });
}

#[test]
fn a_connection_through_proxy() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in server.incoming() {
            let mut client = client.unwrap();
            let mut request = [0; 5];
            client.read_exact(&mut request).unwrap();
            client.write_all(&request).unwrap();
        }
    });
    let mut example =
        Example::start(Command::new(binary("proxy")).args(["127.0.0.1:0", target.as_str()]));
    let line = example.line(" (Ctrl-C ends it)");
    let address = line.split(' ').next().unwrap();
    assert_stands_still(&example, REQUESTS, || ask(address, b"hello", 5));
}

/// The certificate of `tls_server` is made at its start.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[test]
fn a_client_of_tls_server() {
    let mut command = Command::new(binary("tls_server"));
    let mut example = Example::start(command.args(["--every", "0"]));
    let address = address(&mut example, "listening on ");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let config = Arc::new(config);
    assert_stands_still(&example, HANDSHAKES, || {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(config.clone(), name).unwrap();
        let socket = TcpStream::connect(&address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut stream = StreamOwned::new(client, socket);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 200]).unwrap();
    });
}
