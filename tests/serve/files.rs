//! Files: what a client gets of them.

use crate::Running;
use crate::client::Client;
use crate::http2;
use crate::support::soon;
use crate::support::tls::{Setup, connect};
use crate::tls;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http;
use axum::routing::get;
use hangup::serve::{Connection, ServeFolder, file, serve};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;

/// A folder that is gone with its test.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hangup-serve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Bytes that tell where they stand.
pub(crate) fn numbered(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (number, eight) in bytes.chunks_mut(8).enumerate() {
        eight.copy_from_slice(&number.to_le_bytes()[..eight.len()]);
    }
    bytes
}

#[tokio::test]
async fn whole_files_one_after_the_other() {
    let folder = Folder::new("whole");
    let lengths = [
        0,
        1,
        4096,
        65_536,
        65_537,
        1 << 20,
        (1 << 20) + 1,
        5_000_000,
    ];
    for length in lengths {
        folder.write(&length.to_string(), numbered(length));
    }
    let router = Router::new().fallback_service(ServeFolder::open(&folder.path).unwrap());
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    for length in lengths.into_iter().chain(lengths) {
        let response = client.get(&format!("/{length}")).await;
        assert_eq!(response.status, 200);
        assert!(response.body == numbered(length), "{length} bytes");
    }
    // Pipelined.
    let requests: String = lengths
        .iter()
        .map(|length| format!("GET /{length} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .collect();
    client.send(&requests).await;
    for length in lengths {
        let response = client.response().await.unwrap();
        assert!(
            response.body == numbered(length),
            "{length} bytes, pipelined"
        );
    }
}

/// Twenty bytes, an empty file, a compressed one, and what is no file.
fn site(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("t.txt", b"0123456789abcdefghij");
    folder.write("empty.html", b"");
    folder.write("page.css", "a long style sheet, again and again".repeat(10));
    folder.write("page.css.br", b"BR");
    folder.write("page.css.gz", b"GZ");
    folder.write("gone.css.gz", b"GZ");
    folder.write("sub/index.html", b"the index");
    folder.write("evil.example.com/x", b"x");
    folder.write("a b/x", b"x");
    folder
}

async fn site_server(folder: &Folder) -> Running {
    let files = ServeFolder::open(&folder.path).unwrap().precompressed(true);
    Running::start(Router::new().fallback_service(files), |server| server).await
}

/// Ranges, preconditions and methods (RFC 9110): the fields of the request, and status, `Content-Range` and body
/// of the response.
#[tokio::test]
async fn requests_and_their_responses() {
    let folder = site("rfc9110");
    let server = site_server(&folder).await;
    let mut client = Client::connect(server.address).await;
    let whole = client.get("/t.txt").await;
    assert_eq!(whole.text(), "0123456789abcdefghij");
    assert_eq!(whole.field("content-type"), Some("text/plain"));
    assert_eq!(whole.field("accept-ranges"), Some("bytes"));
    assert_eq!(whole.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.field("vary"), Some("accept-encoding"));
    let tag = whole.field("etag").unwrap();
    let date = whole.field("last-modified").unwrap();
    assert!(tag.starts_with('"'), "{tag} is strong");
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (fields, status, range, body) in [
        ("Range: bytes=0-4", 206, "bytes 0-4/20", "01234"),
        ("Range: bytes=15-", 206, "bytes 15-19/20", "fghij"),
        ("Range: bytes=-5", 206, "bytes 15-19/20", "fghij"),
        (
            "Range: bytes=-100",
            206,
            "bytes 0-19/20",
            "0123456789abcdefghij",
        ),
        ("Range: BYTES=0-0", 206, "bytes 0-0/20", "0"),
        (
            "Range: bytes=20-",
            416,
            "bytes */20",
            "Range Not Satisfiable\n",
        ),
        ("Range: lines=0-4", 200, "", "0123456789abcdefghij"),
        ("Range: bytes=4-0", 200, "", "0123456789abcdefghij"),
        ("Range: bytes=0-1,5-6", 200, "", "0123456789abcdefghij"),
        (
            &format!("Range: bytes=0-1\r\nIf-Range: {tag}"),
            206,
            "bytes 0-1/20",
            "01",
        ),
        (
            &format!("Range: bytes=0-1\r\nIf-Range: {date}"),
            206,
            "bytes 0-1/20",
            "01",
        ),
        (
            &format!("Range: bytes=0-1\r\nIf-Range: W/{tag}"),
            200,
            "",
            "0123456789abcdefghij",
        ),
        (
            &format!("Range: bytes=0-1\r\nIf-Range: {old}"),
            200,
            "",
            "0123456789abcdefghij",
        ),
        (&format!("If-None-Match: {tag}"), 304, "", ""),
        (
            &format!("If-None-Match: \"a\"\r\nIf-None-Match: W/{tag}"),
            304,
            "",
            "",
        ),
        (
            &format!("If-None-Match: {tag}\r\nRange: bytes=0-1"),
            304,
            "",
            "",
        ),
        (&format!("If-Modified-Since: {date}"), 304, "", ""),
        (
            &format!("If-Modified-Since: {old}"),
            200,
            "",
            "0123456789abcdefghij",
        ),
        ("If-Match: \"a\"", 412, "", "Precondition Failed\n"),
        (
            &format!("If-Match: \"a\", {tag}"),
            200,
            "",
            "0123456789abcdefghij",
        ),
        (
            &format!("If-Unmodified-Since: {old}"),
            412,
            "",
            "Precondition Failed\n",
        ),
    ] {
        let response = client.get_with("/t.txt", &format!("{fields}\r\n")).await;
        assert_eq!(response.status, status, "{fields}");
        assert_eq!(
            response.field("content-range").unwrap_or(""),
            range,
            "{fields}"
        );
        assert_eq!(response.text(), body, "{fields}");
        assert_eq!(response.field("etag"), Some(tag), "{fields}");
    }
    let empty = client.get_with("/empty.html", "Range: bytes=0-\r\n").await;
    assert_eq!(
        (empty.status, empty.field("content-length")),
        (200, Some("0"))
    );
    client
        .send("HEAD /t.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-1\r\n\r\n")
        .await;
    let head = client.response_to("HEAD").await.unwrap();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("20"))
    );
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"] {
        client
            .send(&format!("{method} /t.txt HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
        let response = client.response().await.unwrap();
        assert_eq!(
            (response.status, response.field("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
}

#[tokio::test]
async fn compressed_files() {
    let folder = site("compressed");
    let server = site_server(&folder).await;
    let mut client = Client::connect(server.address).await;
    for (accepted, coding, body) in [
        ("gzip, br", Some("br"), "BR"),
        ("gzip", Some("gzip"), "GZ"),
        ("zstd, gzip;q=0.1", Some("gzip"), "GZ"),
        ("zstd", None, "a long style sheet"),
        ("br;q=0", None, "a long style sheet"),
    ] {
        let fields = format!("Accept-Encoding: {accepted}\r\n");
        let response = client.get_with("/page.css", &fields).await;
        assert_eq!(response.field("content-encoding"), coding, "{accepted}");
        assert_eq!(response.field("content-type"), Some("text/css"));
        assert_eq!(response.field("vary"), Some("accept-encoding"));
        assert!(response.text().starts_with(body), "{accepted}");
    }
    let gone = client
        .get_with("/gone.css", "Accept-Encoding: gzip\r\n")
        .await;
    assert_eq!(gone.status, 404);
}

/// A build gives all files one time. Two codings of one length had one strong tag, and a cache took one for the other.
#[tokio::test]
async fn codings_of_one_time_and_length_differ() {
    let folder = site("codings");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    for name in ["page.css", "page.css.br", "page.css.gz"] {
        let path = folder.path.join(name);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }
    let server = site_server(&folder).await;
    let mut client = Client::connect(server.address).await;
    let br = client
        .get_with("/page.css", "Accept-Encoding: br\r\n")
        .await;
    let tag = br.field("etag").unwrap();
    for (coding, status) in [("gzip", 200), ("br", 304)] {
        let fields = format!("Accept-Encoding: {coding}\r\nIf-None-Match: {tag}\r\n");
        let response = client.get_with("/page.css", &fields).await;
        assert_eq!(response.status, status, "{coding}");
    }
}

/// Paths: what is there, what is not, and where a directory is redirected to.
#[tokio::test]
async fn paths() {
    let folder = site("paths");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let outside = Folder::new("outside");
        outside.write("secret", b"secret");
        symlink(&outside.path, folder.path.join("out")).unwrap();
        symlink(outside.path.join("secret"), folder.path.join("secret")).unwrap();
        symlink("loop", folder.path.join("loop")).unwrap();
        symlink("t.txt", folder.path.join("link")).unwrap();
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, folder.path.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        drop(outside);
    }
    let server = site_server(&folder).await;
    let mut client = Client::connect(server.address).await;
    let long = format!("/{}", "a".repeat(300));
    for (path, status) in [
        ("/t.txt", 200),
        ("//t.txt", 200),
        ("/./t.txt", 200),
        ("/link", 200),
        ("/sub/", 200),
        ("/t.txt?query=%00", 200),
        ("http://elsewhere.example.com/t.txt", 200),
        ("/t.txt/", 404),
        ("/t.txt/x", 404),
        ("/nothing", 404),
        ("/a%20b/", 404),
        ("/../t.txt", 404),
        ("/%2e%2e/t.txt", 404),
        ("/sub%2findex.html", 404),
        ("/%00", 404),
        ("/loop", 404),
        ("/pipe", 404),
        ("/out/secret", 404),
        ("/secret", 404),
        (&long, 404),
    ] {
        let response = client.get(path).await;
        assert_eq!(response.status, status, "{path}: {}", response.text());
        if status == 404 {
            assert_eq!(
                response.text(),
                "Not Found\n",
                "{path}: no word of the system's"
            );
        }
    }
    assert_eq!(client.get("/sub/").await.text(), "the index");
    for (path, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=b", "/sub/?a=b"),
        ("/sub?a=ü%20", "/sub/?a=%C3%BC%20"),
        ("//evil.example.com", "/evil.example.com/"),
        ("///evil.example.com", "/evil.example.com/"),
        ("http://elsewhere.example.com/sub", "/sub/"),
        ("/a%20b", "/a%20b/"),
    ] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, response.field("location")),
            (308, Some(location)),
            "{path}"
        );
    }
}

/// The path that a nested folder sees lacks the prefix, which the client needs.
#[tokio::test]
async fn redirects_of_a_nested_folder() {
    let folder = site("nested");
    let served = ServeFolder::open(&folder.path).unwrap();
    let inner = Router::new().fallback_service(served.clone());
    let router = Router::new()
        .nest_service("/static", served)
        .nest("/of/{user}", inner);
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    for (path, location) in [
        ("/static/sub", "./sub/"),
        ("/static/sub?a=b", "./sub/?a=b"),
        ("/static/a%20b", "./a%20b/"),
        ("/of/me/sub", "./sub/"),
    ] {
        let response = client.get(path).await;
        let found = (response.status, response.field("location"));
        assert_eq!(found, (308, Some(location)), "{path}");
        // As the client resolves it (RFC 3986, section 5.2).
        let (folder, _) = path.rsplit_once('/').unwrap();
        let resolved = format!("{folder}/{}", location.trim_start_matches("./"));
        let status = client.get(&resolved).await.status;
        assert_ne!(status, 308, "{resolved}");
        assert_eq!(status == 200, path.contains("sub"), "{resolved}");
    }
}

/// A file that is cut while it is sent ends the connection: the length was promised.
#[tokio::test]
async fn a_file_that_is_cut_meanwhile() {
    let folder = Folder::new("cut");
    folder.write("file", numbered(8 << 20));
    let router = Router::new().fallback_service(ServeFolder::open(&folder.path).unwrap());
    let server = Running::start(router, |server| server).await;
    let mut client = Client::with_small_buffer(server.address).await;
    client.ask("/file", "").await;
    soon("the head", client.stream.readable()).await.unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(folder.path.join("file"))
        .unwrap();
    file.set_len(4 << 20).unwrap();
    let broken = client.response().await.unwrap_err();
    assert!(broken.body == numbered(8 << 20)[..broken.body.len()]);
    assert!(broken.body.len() <= 4 << 20);
}

/// A program that keeps the `Connection` of a request, in a log for instance, keeps no file open. A download that its client
/// had left in the middle kept its file as long.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_download_that_is_broken_off() {
    let folder = Folder::new("broken-off");
    folder.write("file", numbered(32 << 20));
    let path = std::fs::canonicalize(folder.path.join("file")).unwrap();
    let is_open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links
            .filter_map(|link| std::fs::read_link(link.path()).ok())
            .any(|link| link == path)
    };
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    let served = path.clone();
    let download = async move |request: Request| {
        keep.send(request.extensions().get::<Connection>().cloned())
            .unwrap();
        file(&request, served).await
    };
    let server = Running::start(Router::new().route("/", get(download)), |server| server).await;
    let mut client = Client::with_small_buffer(server.address).await;
    client.ask("/", "").await;
    let mut part = vec![0; 100_000];
    soon("a part", client.stream.read_exact(&mut part))
        .await
        .unwrap();
    assert!(is_open());
    let connection = kept.recv().await.unwrap().unwrap();
    drop(client);
    let closed = async {
        while is_open() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    soon("the end of the file", closed).await;
    assert!(connection.monitor().is_closed());
}

/// A middleware that copies a file's body for a cache, while hyper polls it, has placeholders. HTTP/2 copies small parts of a body,
/// so a later client got them as zeros.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn placeholders_that_a_middleware_keeps() {
    let folder = Folder::new("kept");
    folder.write("file", numbered(100_000));
    let path = folder.path.join("file");
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (keep, again) = (kept.clone(), kept.clone());
    let whole = async move |request: Request| {
        let file = file(&request, path).await;
        file.map(|body| {
            Body::new(body.map_frame(move |frame| {
                keep.lock().unwrap().extend(frame.data_ref().cloned());
                frame
            }))
        })
    };
    // In parts that are shorter than those that h2 passes on without a copy.
    let part = async move || {
        let parts = again.lock().unwrap().clone();
        let parts = parts.into_iter().map(|mut part| part.split_to(100));
        Body::from_stream(futures::stream::iter(parts.map(Ok::<_, Infallible>)))
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/file", get(whole))
        .route("/part", get(part));
    let server = Running::start(router, |server| server.h2c(true)).await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/file").await.body, numbered(100_000));
    assert!(!kept.lock().unwrap().is_empty());
    client.ask("/part", "").await;
    let broken = client.response().await.unwrap_err();
    assert_eq!(broken.body, b"", "on HTTP/1.1");
    let (requests, _connection) = http2::connect(server.address, 65_535).await;
    let is_reset = match http2::ask(&requests, "/part").await {
        // The reset may overtake the head.
        Err(error) => error.is_reset(),
        Ok(mut response) => soon("the body", response.body_mut().data())
            .await
            .unwrap()
            .is_err_and(|error| error.is_reset()),
    };
    assert!(is_reset, "on HTTP/2");
    let response = soon("another response", http2::ask(&requests, "/")).await;
    assert_eq!(response.unwrap().status(), 200);
}

/// One file by a handler of its own, from a path and from an open file.
#[tokio::test]
async fn one_file() {
    let folder = site("one");
    let path = folder.path.join("t.txt");
    let open = Arc::new(std::fs::File::open(&path).unwrap());
    let router = Router::new()
        .route(
            "/path",
            get(async move |request: Request| file(&request, path).await),
        )
        .route(
            "/open",
            get(async move |request: Request| {
                file(&request, (open.try_clone().unwrap(), "t.txt")).await
            }),
        )
        .route(
            "/nothing",
            get(async |request: Request| file(&request, "/nothing/here").await),
        );
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    for path in ["/path", "/open"] {
        let response = client.get_with(path, "Range: bytes=10-\r\n").await;
        assert_eq!((response.status, &*response.text()), (206, "abcdefghij"));
        assert_eq!(response.field("content-type"), Some("text/plain"));
    }
    assert_eq!(client.get("/nothing").await.status, 404);
}

/// Over TLS and over HTTP/2 a file is read, and is the same.
#[tokio::test]
async fn files_over_tls() {
    let folder = Folder::new("tls");
    folder.write("file", numbered(3_000_000));
    let setup = Setup {
        client_protocols: vec![b"h2".to_vec()],
        ..Setup::default()
    };
    let (listener, address, connector) = tls::listener(setup).await;
    let files = ServeFolder::open(&folder.path).unwrap();
    let server = serve(listener, files);
    let server = tokio::spawn(server.into_future());
    let stream = connect(&connector, address).await;
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/file")
        .body(())
        .unwrap();
    let mut requests = requests.ready().await.unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut read = Vec::new();
    while let Some(chunk) = soon("the file", body.data()).await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        read.extend_from_slice(&chunk);
    }
    assert!(read == numbered(3_000_000));
    connection.abort();
    server.abort();
}
