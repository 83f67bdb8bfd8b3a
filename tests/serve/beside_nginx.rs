//! The same requests to nginx and to a served folder: one table, which is `docs/beside-nginx.md`.
//!
//! ```sh
//! HANGUP_WRITE_TABLE=1 cargo test --all-features --test serve beside_nginx
//! ```
//!
//! writes it anew. Without that the test fails where our answers differ from those of the table, and nginx's too, if
//! it is the version of the table.

use crate::Running;
use crate::client::{Client, Response};
use crate::files::Folder;
use crate::support::soon;
use axum::Router;
use hangup::serve::ServeFolder;
use std::fmt::Write;
use std::fs::{File, FileTimes};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// Where the answers of the last run are.
const TABLE: &str = "docs/beside-nginx.md";

/// What `t.txt` was last changed at: `Sun, 06 Nov 1994 08:49:37 GMT`.
const CHANGED: Duration = Duration::from_secs(784_111_777);

/// A request: what it is, its first line, and its other fields. Where the answers differ, why ours is as it is.
struct Case {
    what: &'static str,
    line: &'static str,
    fields: &'static str,
    why: &'static str,
}

const fn case(
    what: &'static str,
    line: &'static str,
    fields: &'static str,
    why: &'static str,
) -> Case {
    Case {
        what,
        line,
        fields,
        why,
    }
}

const HOST: &str = "Host: test\r\n";
const GET: &str = "GET /t.txt HTTP/1.1";

const CASES: &[Case] = &[
    case("a file", GET, "", ""),
    case("its head", "HEAD /t.txt HTTP/1.1", "", ""),
    case("an empty file", "GET /empty.html HTTP/1.1", "", ""),
    case("a folder", "GET /sub/ HTTP/1.1", "", ""),
    case(
        "a folder without its slash",
        "GET /sub HTTP/1.1",
        "",
        "a relative target is enough (RFC 9110, section 10.2.2), and no `Host` of the client's comes back",
    ),
    case(
        "a folder without an index",
        "GET /bare/ HTTP/1.1",
        "",
        "nothing is said about what is there",
    ),
    case("no such file", "GET /none HTTP/1.1", "", ""),
    case("a file as a folder", "GET /t.txt/x HTTP/1.1", "", ""),
    case("a slash after a file", "GET /t.txt/ HTTP/1.1", "", ""),
    case(
        "a name that is too long",
        "GET /nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn HTTP/1.1",
        "",
        "",
    ),
    case(
        "a loop of symlinks",
        "GET /loop HTTP/1.1",
        "",
        "it is no file, and no fault of the server",
    ),
    case(
        "up and out",
        "GET /../etc/passwd HTTP/1.1",
        "",
        "no such file is in the folder",
    ),
    case(
        "up and out, encoded",
        "GET /%2e%2e/etc/passwd HTTP/1.1",
        "",
        "no such file is in the folder",
    ),
    case(
        "a NUL",
        "GET /t.txt%00 HTTP/1.1",
        "",
        "no file can have such a name",
    ),
    case(
        "a broken escape",
        "GET /%zz HTTP/1.1",
        "",
        "no file can have such a name",
    ),
    case(
        "an encoded slash",
        "GET /sub%2findex.html HTTP/1.1",
        "",
        "`%2f` is part of a name, and no name has a slash",
    ),
    case("an escape in the name", "GET /%74.txt HTTP/1.1", "", ""),
    case("a query", "GET /t.txt?a=b HTTP/1.1", "", ""),
    case(
        "two slashes and a foreign name",
        "GET //evil.example.com HTTP/1.1",
        "",
        "",
    ),
    case(
        "an absolute target",
        "GET http://test/t.txt HTTP/1.1",
        "",
        "",
    ),
    case("HTTP/1.0", "GET /t.txt HTTP/1.0", "", ""),
    case("the last bytes", GET, "Range: bytes=-5\r\n", ""),
    case(
        "more last bytes than there are",
        GET,
        "Range: bytes=-100\r\n",
        "",
    ),
    case("no last bytes", GET, "Range: bytes=-0\r\n", ""),
    case("the first bytes", GET, "Range: bytes=0-4\r\n", ""),
    case("from the middle on", GET, "Range: bytes=15-\r\n", ""),
    case("beyond the end", GET, "Range: bytes=15-99\r\n", ""),
    case("from the end on", GET, "Range: bytes=20-\r\n", ""),
    case(
        "backwards",
        GET,
        "Range: bytes=4-0\r\n",
        "an invalid range is ignored (RFC 9110, section 14.2)",
    ),
    case("another unit", GET, "Range: lines=0-4\r\n", ""),
    case("a unit in capitals", GET, "Range: BYTES=0-0\r\n", ""),
    case(
        "two ranges",
        GET,
        "Range: bytes=0-1,5-6\r\n",
        "a server may ignore several ranges (RFC 9110, section 14.2)",
    ),
    case(
        "no digits",
        GET,
        "Range: bytes=a-b\r\n",
        "an invalid range is ignored (RFC 9110, section 14.2)",
    ),
    case(
        "a range of an empty file",
        "GET /empty.html HTTP/1.1",
        "Range: bytes=0-\r\n",
        "",
    ),
    case(
        "a range of a head",
        "HEAD /t.txt HTTP/1.1",
        "Range: bytes=0-1\r\n",
        "ranges are defined for GET alone (RFC 9110, section 14.2)",
    ),
    case(
        "unchanged since",
        GET,
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "",
    ),
    case(
        "changed since",
        GET,
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
        "",
    ),
    case(
        "unchanged since a later date",
        GET,
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
        "a file that is older than the date is unchanged (RFC 9110, section 13.1.3); nginx compares for equality",
    ),
    case("no date", GET, "If-Modified-Since: yesterday\r\n", ""),
    case("any version that is there", GET, "If-None-Match: *\r\n", ""),
    case("another version", GET, "If-None-Match: \"a\"\r\n", ""),
    case("a version that must match", GET, "If-Match: \"a\"\r\n", ""),
    case("any version must be there", GET, "If-Match: *\r\n", ""),
    case(
        "changed meanwhile",
        GET,
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
        "",
    ),
    case(
        "a range of another version",
        GET,
        "Range: bytes=0-1\r\nIf-Range: \"a\"\r\n",
        "",
    ),
    case(
        "a range since a date",
        GET,
        "Range: bytes=0-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "",
    ),
    case(
        "POST",
        "POST /t.txt HTTP/1.1",
        "Content-Length: 0\r\n",
        "a 405 names what is allowed (RFC 9110, section 15.5.6)",
    ),
    case(
        "OPTIONS",
        "OPTIONS /t.txt HTTP/1.1",
        "",
        "a 405 names what is allowed (RFC 9110, section 15.5.6)",
    ),
    case(
        "an unknown method",
        "BREW /t.txt HTTP/1.1",
        "",
        "a 405 names what is allowed (RFC 9110, section 15.5.6)",
    ),
    case(
        "a method in lower case",
        "get /t.txt HTTP/1.1",
        "",
        "a method that is not known is not allowed, and methods are case-sensitive (RFC 9110, section 9.1)",
    ),
    case("a field without a name", GET, ": a\r\n", ""),
    case(
        "a length and chunks",
        "POST /t.txt HTTP/1.1",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "the chunks count, and no length (RFC 9112, section 6.3); a POST is not allowed",
    ),
    case(
        "two lengths",
        "POST /t.txt HTTP/1.1",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "",
    ),
];

/// Requests whose `Host` field is the matter.
const HOSTS: &[Case] = &[
    case("no host", GET, "", ""),
    case("an empty host", GET, "Host:\r\n", ""),
    case("two hosts", GET, "Host: a\r\nHost: b\r\n", ""),
    case("a host with a space", GET, "Host: a b\r\n", ""),
    case("a host with a path", GET, "Host: a/b\r\n", ""),
];

/// nginx, which ends with the test.
struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    fn version() -> Option<String> {
        let output = Command::new("nginx").arg("-v").output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Some(text.trim().rsplit_once('/')?.1.to_owned())
    }

    async fn start(folder: &Path, scratch: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = scratch.join("nginx.conf");
        let (root, scratch) = (folder.display(), scratch.display());
        let text = format!(
            "worker_processes 1; pid {scratch}/pid; error_log /dev/null; daemon off; user root; events {{}} \
             http {{ access_log off; types {{ text/plain txt; text/html html; }} \
             client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; \
             fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; \
             scgi_temp_path {scratch}/scgi; server {{ listen {address}; root {root}; }} }}"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        soon("nginx", async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        Self { child, address }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let id = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::kill(id, nix::sys::signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// An answer as a cell of the table: the status and what is peculiar to it.
async fn answer(address: SocketAddr, case: &Case, host: &str) -> String {
    let mut client = Client::connect(address).await;
    let Case { line, fields, .. } = case;
    client
        .send(&format!(
            "{line}\r\n{host}{fields}Connection: close\r\n\r\n"
        ))
        .await;
    let method = line.split(' ').next().unwrap();
    let Ok(response) = client.response_to(method).await else {
        return "closed".to_owned();
    };
    cell(&response, &address)
}

fn cell(response: &Response, address: &SocketAddr) -> String {
    let mut cell = response.status.to_string();
    // An error's page is each server's own.
    if response.status < 300 {
        let length = response.field("content-length").unwrap_or("none");
        write!(cell, ", length {length}").unwrap();
    }
    for field in ["content-range", "location", "allow"] {
        if let Some(value) = response.field(field) {
            let value = value.replace(&address.port().to_string(), "PORT");
            write!(cell, ", `{field}: {value}`").unwrap();
        }
    }
    cell
}

fn site() -> Folder {
    let folder = Folder::new("beside-nginx");
    for (name, bytes) in [
        ("t.txt", "0123456789abcdefghij"),
        ("empty.html", ""),
        ("sub/index.html", "the index"),
        ("bare/x", "x"),
    ] {
        folder.write(name, bytes);
        let file = File::options().write(true).open(folder.path.join(name));
        let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + CHANGED);
        file.unwrap().set_times(times).unwrap();
    }
    std::os::unix::fs::symlink("loop", folder.path.join("loop")).unwrap();
    folder
}

const ABOUT: &str = "# Beside nginx

The same requests to nginx and to `hangup::serve::ServeFolder`, over HTTP/1.1 without TLS: the status, the length of a
response that succeeds, and the fields that belong to its status. Where the answers differ, the last column has the
reason for ours. `tests/serve/beside_nginx.rs` sends them, and compares the answers with this page.
";

#[tokio::test]
async fn the_same_requests_to_both() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let write = std::env::var_os("HANGUP_WRITE_TABLE").is_some();
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let version = Nginx::version();
    // Other versions may answer otherwise: then ours alone is compared.
    let known = write
        || version
            .as_ref()
            .is_some_and(|it| expected.contains(&format!("| nginx {it} |")));
    if !known {
        println!("skipped: nginx's column: the table is not of nginx {version:?}");
    }
    let folder = site();
    let scratch = Folder::new("nginx");
    let nginx = match known {
        true => Some(Nginx::start(&folder.path, &scratch.path).await),
        false => None,
    };
    let files = Router::new().fallback_service(ServeFolder::open(&folder.path).unwrap());
    let server = Running::start(files, |server| server).await;
    let version = version.unwrap_or_default();
    let mut table =
        format!("{ABOUT}\n| the request | nginx {version} | hangup | why |\n|---|---|---|---|\n");
    let cases = CASES.iter().map(|case| (case, HOST));
    for (case, host) in cases.chain(HOSTS.iter().map(|case| (case, ""))) {
        let ours = answer(server.address, case, host).await;
        let theirs = match &nginx {
            Some(nginx) => answer(nginx.address, case, host).await,
            None => String::new(),
        };
        let why = match ours == theirs {
            true => "",
            false => case.why,
        };
        if nginx.is_some() && ours != theirs && why.is_empty() {
            eprintln!("DIFF {}: {ours}, and nginx: {theirs}", case.what);
        }
        if nginx.is_some() && ours != theirs {
            assert!(
                !why.is_empty(),
                "{}: {ours}, and nginx: {theirs}",
                case.what
            );
        }
        let row = format!("| {} | {theirs} | {ours} | {why} |\n", case.what);
        if !write && nginx.is_some() {
            assert!(expected.contains(&row), "not in {TABLE}: {row}");
        } else if !write {
            let (start, end) = (format!("| {} |", case.what), format!("| {ours} |"));
            let found = expected
                .lines()
                .any(|line| line.starts_with(&start) && line.contains(&end));
            assert!(found, "not in {TABLE}: {}: {ours}", case.what);
        }
        table += &row;
    }
    if write {
        std::fs::write(path, table).unwrap();
    }
}
