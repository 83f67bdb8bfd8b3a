//! Floods, in short form: an honest client beside them is answered all the time, and what they took comes back.

use crate::client::Client;
use crate::files::{Folder, numbered};
use crate::support::tls::Setup;
use crate::support::{alone, soon};
use crate::tls::get_over_tls;
use crate::{Running, endless, http2};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use hangup::serve::{FolderResponse, LimitReason, ServeFolder, serve};
use hangup::tls::TlsListener;
use hangup::{MonitoredListener, StallPolicy};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(500);

/// Long against the load of the machine, short against a flood that shuts others out.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with short times, a small file and a large one, and an endless stream of events.
async fn server(folder: &Folder) -> Running {
    folder.write("small", b"hello");
    folder.write("large", numbered(20 << 20));
    let silent = || {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"first"))]);
        Body::from_stream(first.chain(futures::stream::pending()))
    };
    let router = Router::new()
        .route("/endless", get(async || endless()))
        .route("/events", get(async move || silent()))
        .fallback_service(ServeFolder::open(&folder.path).unwrap());
    let policy = StallPolicy::new(64 << 10, SHORT);
    Running::start(router, |server| {
        server
            .h2c(true)
            .head_timeout(SHORT)
            .keep_alive_timeout(SHORT)
            .stall_policy(policy)
    })
    .await
}

/// A client that asks for the small file again and again, with a connection each, and tells how long the
/// slowest answer took.
fn honest(server: &Running) -> JoinHandle<Duration> {
    let address = server.address;
    tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for _ in 0..40 {
            let begun = Instant::now();
            let mut client = Client::connect(address).await;
            assert_eq!(client.get("/small").await.text(), "hello");
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(SHORT / 20).await;
        }
        slowest
    })
}

/// Waits until the process has no more descriptors than `before`.
async fn descriptors_are_back(before: usize) {
    let back = async {
        while descriptors() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the descriptors of the server", back).await;
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs a flood of `number` clients, made by `client`, beside an honest one.
async fn flood<F: Future<Output = Client>>(
    name: &str,
    number: usize,
    client: impl Fn(SocketAddr) -> F,
) {
    let folder = Folder::new(name);
    let server = server(&folder).await;
    // What the runtime opens once is open now.
    Client::connect(server.address).await.get("/small").await;
    let before = descriptors();
    let mut clients = Vec::new();
    for _ in 0..number {
        clients.push(client(server.address).await);
    }
    let slowest = honest(&server).await.unwrap();
    println!("{name}: the slowest honest answer took {slowest:?}");
    assert!(slowest < PATIENCE, "{slowest:?}");
    // The server has ended them all: what is open is the clients' half.
    descriptors_are_back(before + clients.len()).await;
    drop(clients);
    descriptors_are_back(before).await;
    let summary = server.stop().await;
    println!("{name}: {summary}");
    assert_eq!(summary.aborted(), 0);
}

#[tokio::test]
async fn silent_connections() {
    if alone("floods::silent_connections") {
        flood("silent", 500, Client::connect).await;
    }
}

#[tokio::test]
async fn slow_heads() {
    if alone("floods::slow_heads") {
        flood("heads", 500, async |address| {
            let mut client = Client::connect(address).await;
            client.send("GET / HTTP/1.1\r\nHost: te").await;
            client
        })
        .await;
    }
}

#[tokio::test]
async fn readers_that_stall() {
    if alone("floods::readers_that_stall") {
        for path in ["/large", "/endless"] {
            flood("stalled", 200, async |address| {
                let mut client = Client::with_small_buffer(address).await;
                client.ask(path, "").await;
                soon("a byte", client.stream.read_exact(&mut [0]))
                    .await
                    .unwrap();
                client
            })
            .await;
        }
    }
}

#[tokio::test]
async fn connections_that_are_reset() {
    if !alone("floods::connections_that_are_reset") {
        return;
    }
    let folder = Folder::new("reset");
    let server = server(&folder).await;
    Client::connect(server.address).await.get("/small").await;
    let before = descriptors();
    let honest = honest(&server);
    for number in 0..2000 {
        let mut client = Client::connect(server.address).await;
        if number % 2 == 0 {
            client.ask("/large", "").await;
        }
        client.stream.set_zero_linger().unwrap();
    }
    assert!(honest.await.unwrap() < PATIENCE);
    descriptors_are_back(before).await;
}

/// TLS clients that say nothing: more than there may be handshakes.
#[tokio::test]
async fn silent_handshakes() {
    if !alone("floods::silent_handshakes") {
        return;
    }
    let (connector, acceptor) = Setup::default().make();
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TlsListener::new(listener, acceptor).max_handshakes(100);
    let router = Router::new().route("/", get(async || "hello"));
    let server = tokio::spawn(serve(listener, router).into_future());
    // What the runtime opens once is open now.
    get_over_tls(&connector, address).await;
    let before = descriptors();
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(Client::connect(address).await);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let begun = Instant::now();
        assert!(get_over_tls(&connector, address).await.ends_with("hello"));
        slowest = slowest.max(begun.elapsed());
    }
    println!("silent handshakes: the slowest honest answer took {slowest:?}");
    assert!(slowest < PATIENCE, "{slowest:?}");
    // Beside the clients' own.
    descriptors_are_back(before + silent.len() + 100).await;
    drop(silent);
    descriptors_are_back(before).await;
    server.abort();
}

/// HTTP/2 connections whose windows never open.
#[tokio::test]
async fn streams_that_stall() {
    if !alone("floods::streams_that_stall") {
        return;
    }
    flood("streams", 50, async |address| {
        let mut client = Client::connect(address).await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        // SETTINGS: INITIAL_WINDOW_SIZE 0 (RFC 9113, section 6.5.2).
        client
            .send_bytes(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0")
            .await;
        for stream in (1..40).step_by(2) {
            // HEADERS of GET http://a/large: END_STREAM, END_HEADERS (RFC 7541, appendix A).
            let block = b"\x82\x86\x44\x06/large\x41\x01a";
            let head = [0, 0, block.len() as u8, 1, 5, 0, 0, 0, stream];
            client.send_bytes(&[&head[..], block].concat()).await;
        }
        soon("a byte", client.stream.read_exact(&mut [0]))
            .await
            .unwrap();
        client
    })
    .await;
}

/// A limit of descriptors that is lower than the flood: the server keeps to half of it.
#[tokio::test]
async fn few_descriptors() {
    use nix::sys::resource::{Resource, setrlimit};
    if !alone("floods::few_descriptors") {
        return;
    }
    let folder = Folder::new("descriptors");
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The server reads its limit when it is made; the clients of this process need more.
    setrlimit(Resource::RLIMIT_NOFILE, 128, hard).unwrap();
    let server = server(&folder).await;
    setrlimit(Resource::RLIMIT_NOFILE, 1024.min(hard), hard).unwrap();
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(Client::connect(server.address).await);
    }
    let open = descriptors() - clients.len();
    assert!(open < 100, "{open} descriptors of the server's");
    let slowest = honest(&server).await.unwrap();
    assert!(slowest < PATIENCE, "{slowest:?}");
}

/// Streams of HTTP/2 whose windows never open keep their files open. They had all descriptors, and nobody could connect.
#[tokio::test]
async fn files_that_stay_open() {
    use nix::sys::resource::{Resource, setrlimit};
    if !alone("floods::files_that_stay_open") {
        return;
    }
    let folder = Folder::new("open-files");
    folder.write("small", b"hello");
    folder.write("large", numbered(1 << 20));
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 128, hard).unwrap();
    let router = Router::new().fallback_service(ServeFolder::open(&folder.path).unwrap());
    // Nothing ends them meanwhile.
    let mut server = Running::start(router, |server| server.h2c(true).stall_policy(None)).await;
    setrlimit(Resource::RLIMIT_NOFILE, 1024.min(hard), hard).unwrap();
    let (mut connections, mut streams, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..4 {
        let (requests, connection) = http2::connect(server.address, 0).await;
        for _ in 0..90 {
            let response = http2::ask(&requests, "/large").await.unwrap();
            refused += usize::from(response.status() == StatusCode::SERVICE_UNAVAILABLE);
            streams.push(response);
        }
        connections.push(connection);
    }
    // Half of the half of (128 - 32) descriptors.
    assert_eq!((streams.len() - refused, refused), (24, 336));
    assert_eq!(server.limit().await, LimitReason::OpenFiles);
    let other = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut client = Client::on(socket.connect(server.address).await.unwrap());
        client.get("/small").await.text()
    };
    assert_eq!(other().await, "hello");
    drop(streams);
    let mut client = Client::connect(server.address).await;
    let end = async { while client.get("/small").await.status != 200 {} };
    soon("room again", end).await;
}

/// The index of a directory that cannot be opened for want of a descriptor: it was told as missing.
#[tokio::test]
async fn an_index_without_a_descriptor() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if !alone("floods::an_index_without_a_descriptor") {
        return;
    }
    let files = Folder::new("no-descriptor");
    files.write("index.html", "the index");
    let folder = ServeFolder::open(&files.path).unwrap();
    let get = || async { folder.get(&Request::get("/").body(()).unwrap()).await };
    let status = |response| match response {
        FolderResponse::Response(response) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(get().await), 200);

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        open.push(file);
    }
    assert_eq!(status(get().await), 503);
    // One for the directory, none for its index.
    open.pop();
    assert_eq!(status(get().await), 503);
    drop(open);
    assert_eq!(status(get().await), 200);
}
