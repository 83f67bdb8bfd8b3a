//! `file_server`, with curl and raw sockets for clients.

use crate::process::{DEADLINE, binary, directory, has, milliseconds, number, refuses};
use crate::server::{Server, body, header, status};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the server sends of a file at a time.
const CHUNK: u64 = 1024 * 1024;
/// More than HTTP and the sockets buffer, so that its download waits for the client.
const LARGE: u64 = 64 * 1024 * 1024;
const HUGE: u64 = 1024 * 1024 * 1024;

/// All the bytes that the process has read from files so far.
#[cfg(target_os = "linux")]
fn bytes_read(server: &Server) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", server.example.id())).unwrap();
    let rchar = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    rchar.unwrap().parse().unwrap()
}

/// A user starts a large download with curl, and kills it in the middle. The server is blocked in a
/// write then, as curl takes less than it could send.
#[test]
fn curl_is_killed_in_mid_download() {
    if !has("curl") {
        return;
    }
    let mut server = Server::start("killed");
    server.sparse("huge.bin", HUGE);
    #[cfg(target_os = "linux")]
    let before = bytes_read(&server);

    let mut curl = server
        .curl("/huge.bin")
        .args(["--no-buffer", "--limit-rate", "8M"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut taken = vec![1; 4 * 1024 * 1024];
    let mut output = curl.stdout.take().unwrap();
    output.read_exact(&mut taken).unwrap();
    curl.kill().unwrap();
    curl.wait().unwrap();

    let line = server.example.line("GET /huge.bin 200: ");
    assert!(
        line.contains("reset by peer") || line.contains("closed by peer"),
        "{line}"
    );
    let sent = number(&line, " of 1,073,741,824 bytes");
    assert!((taken.len() as u64..HUGE).contains(&sent), "{line}");
    assert!(number(&line, " bytes later") <= CHUNK, "{line}");
    #[cfg(target_os = "linux")]
    assert!(number(&line, " bytes not acknowledged") <= sent, "{line}");

    // The kernel's count agrees: nothing was read that the line does not know of.
    let answer = server.ask("/", "");
    assert!(body(&answer).contains("huge.bin"));
    #[cfg(target_os = "linux")]
    assert!(bytes_read(&server) - before <= sent + 2 * CHUNK, "{line}");
}

/// A client takes the beginning and then nothing, and stays: without a policy it would hold its download,
/// and what the kernel has accepted of it, for as long as it likes.
#[test]
fn a_client_that_stalls_is_reset() {
    let root = directory("stalls").join("root");
    fs::create_dir(&root).unwrap();
    let mut command = Command::new(binary("file_server"));
    command.arg("--root").arg(&root).args(["--stall", "1/0.5"]);
    let mut server = Server::run(&mut command, root);
    server.sparse("huge.bin", HUGE);
    let mut client = server.begin("/huge.bin", "");
    let line = server.example.line("GET /huge.bin 200: ");
    assert!(line.contains("peer stalled"), "{line}");
    #[cfg(target_os = "linux")]
    {
        let sent = number(&line, " of 1,073,741,824 bytes");
        let unacknowledged = number(&line, " bytes not acknowledged");
        assert!(0 < unacknowledged && unacknowledged < sent, "{line}");
        let mut rest = Vec::new();
        let reset = client.read_to_end(&mut rest).unwrap_err();
        assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    }
    #[cfg(not(target_os = "linux"))]
    drop(client.read_to_end(&mut Vec::new()));
}

#[test]
fn a_policy_that_cannot_be_read() {
    for policy in ["", "1", "1/", "/1", "0/1", "1/0", "1/-1", "1/x", "-1/1"] {
        refuses(
            "file_server",
            &["--root", ".", &format!("--stall={policy}")],
            "BYTES/SECONDS",
        );
    }
}

/// The client sends a second request behind the first one, says that no more will come, and takes
/// no more. The bare server would not see the FIN behind what it has not read, and wait for ever.
#[test]
fn a_hang_up_behind_a_pipelined_request_wakes_the_blocked_write() {
    let mut server = Server::start("pipelined");
    server.sparse("huge.bin", HUGE);
    let client = server.begin("/huge.bin", "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.shutdown(Shutdown::Write).unwrap();

    let line = server.example.line("GET /huge.bin 200: ");
    assert!(line.contains(" bytes, closed by peer"), "{line}");
    assert!(number(&line, " bytes later") <= CHUNK, "{line}");
    assert!(milliseconds(&line, " ms after") < 5000.0, "{line}");
    drop(client);
}

#[test]
fn each_response_of_a_connection_is_accounted_for() {
    let mut server = Server::start("pipeline");
    fs::write(server.root.join("hello.txt"), "hello").unwrap();
    server.sparse("million", 1_000_000);
    let mut client = server.connect();
    for (path, close) in [
        ("/hello.txt", ""),
        ("/million", ""),
        ("/none", "Connection: close\r\n"),
    ] {
        write!(client, "GET {path} HTTP/1.1\r\nHost: test\r\n{close}\r\n").unwrap();
    }
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).unwrap();

    let lines = ["/hello.txt 200", "/million 200", "/none 404"];
    let lines = lines.map(|what| server.example.line(&format!("GET {what}: ")));
    assert!(lines[0].ends_with(": 5 of 5 bytes, complete"), "{lines:?}");
    let million = ": 1,000,000 of 1,000,000 bytes, complete";
    assert!(lines[1].ends_with(million), "{lines:?}");
    assert!(
        lines[2].ends_with(": 10 of 10 bytes, complete"),
        "{lines:?}"
    );
}

/// A log is truncated while somebody fetches it.
#[test]
fn a_file_that_becomes_shorter_is_told() {
    let mut server = Server::start("shorter");
    server.sparse("large.bin", LARGE);
    let mut client = server.begin("/large.bin", "");
    server.sparse("large.bin", 1);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!((rest.len() as u64) < LARGE);
    let line = server.example.line("GET /large.bin 200: ");
    assert!(line.contains(" of 67,108,864 bytes, "), "{line}");
    assert!(!line.ends_with("complete"), "{line}");
}

#[test]
fn ranges_heads_and_conditions() {
    let server = Server::start("conditions");
    fs::write(server.root.join("digits.txt"), "0123456789").unwrap();
    fs::write(server.root.join("page.html"), "<p>").unwrap();
    fs::write(server.root.join("data"), "?").unwrap();

    let whole = server.ask("/digits.txt", "");
    assert_eq!((status(&whole), body(&whole)), ("200", "0123456789"));
    assert_eq!(header(&whole, "content-type"), "text/plain");
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    let page = server.ask("/page.html", "");
    assert_eq!(header(&page, "content-type"), "text/html");
    let data = server.ask("/data", "");
    assert_eq!(header(&data, "content-type"), "application/octet-stream");

    let head = server.request("HEAD", "/digits.txt", "");
    assert_eq!((status(&head), body(&head)), ("200", ""));
    assert_eq!(header(&head, "content-length"), "10");
    assert_eq!(status(&server.request("DELETE", "/digits.txt", "")), "405");

    for (range, part, content_range) in [
        ("0-3", "0123", "bytes 0-3/10"),
        ("4-", "456789", "bytes 4-9/10"),
        ("-2", "89", "bytes 8-9/10"),
    ] {
        let answer = server.ask("/digits.txt", &format!("Range: bytes={range}\r\n"));
        assert_eq!((status(&answer), body(&answer)), ("206", part));
        assert_eq!(header(&answer, "content-range"), content_range);
    }
    let beyond = server.ask("/digits.txt", "Range: bytes=10-\r\n");
    assert_eq!(status(&beyond), "416");
    assert_eq!(header(&beyond, "content-range"), "bytes */10");

    let (tag, date) = (header(&whole, "etag"), header(&whole, "last-modified"));
    let ask = |headers: &str| {
        let answer = server.ask("/digits.txt", headers);
        (status(&answer).to_owned(), body(&answer).len())
    };
    let part = "Range: bytes=0-3\r\n";
    for (headers, expected) in [
        (format!("If-None-Match: {tag}\r\n"), ("304", 0)),
        ("If-None-Match: \"other\"\r\n".to_owned(), ("200", 10)),
        (format!("If-Modified-Since: {date}\r\n"), ("304", 0)),
        (
            "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(),
            ("200", 10),
        ),
        ("If-Match: \"other\"\r\n".to_owned(), ("412", 20)),
        (format!("{part}If-Range: {tag}\r\n"), ("206", 4)),
        (format!("{part}If-Range: {date}\r\n"), ("206", 4)),
        (format!("{part}If-Range: \"other\"\r\n"), ("200", 10)),
    ] {
        let (status, length) = ask(&headers);
        assert_eq!((status.as_str(), length), expected, "{headers}");
    }
}

/// What a user types: curl resumes a download, and asks for what is new.
#[test]
fn curl_resumes_and_revalidates() {
    if !has("curl") {
        return;
    }
    let server = Server::start("curl");
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(server.root.join("numbers.bin"), &content).unwrap();
    let copy = server.root.join("../copy.bin");
    let copy = copy.to_str().unwrap();

    fs::write(copy, &content[..5_000_000]).unwrap();
    let resumed = server
        .curl("/numbers.bin")
        .args(["--continue-at", "-", "--output", copy])
        .status()
        .unwrap();
    assert!(resumed.success());
    assert!(fs::read(copy).unwrap() == content, "the copy differs");

    let again = server
        .curl("/numbers.bin")
        .args(["--time-cond", copy, "--write-out", "%{http_code}"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "304");
}

#[test]
fn a_directory_is_listed() {
    let server = Server::start("listing");
    let odd = "a <b> & \"c\" #?%.txt";
    fs::write(server.root.join(odd), "odd").unwrap();
    fs::create_dir_all(server.root.join("sub/empty")).unwrap();
    fs::create_dir(server.root.join("home")).unwrap();
    fs::write(server.root.join("home/index.html"), "welcome").unwrap();

    let listing = server.ask("/", "");
    assert_eq!(header(&listing, "content-type"), "text/html; charset=utf-8");
    let link = "<a href=\"a%20%3Cb%3E%20%26%20%22c%22%20%23%3F%25.txt\">\
        a &lt;b&gt; &amp; &quot;c&quot; #?%.txt</a> (3 B)";
    assert!(body(&listing).contains(link), "{listing}");
    assert!(
        body(&listing).contains("<a href=\"sub/\">sub/</a>"),
        "{listing}"
    );
    assert!(!body(&listing).contains("../"), "{listing}");
    let answer = server.ask("/a%20%3Cb%3E%20%26%20%22c%22%20%23%3F%25.txt", "");
    assert_eq!(body(&answer), "odd");

    let sub = server.ask("/sub/", "");
    assert!(body(&sub).contains("<h1>/sub/</h1>"), "{sub}");
    assert!(body(&sub).contains("<a href=\"../\">../</a>"), "{sub}");
    assert!(
        body(&sub).contains("<a href=\"empty/\">empty/</a>"),
        "{sub}"
    );
    assert_eq!(header(&server.ask("/sub", ""), "location"), "/sub/");
    assert_eq!(body(&server.ask("/home/", "")), "welcome");
    let head = server.request("HEAD", "/", "");
    assert_eq!((status(&head), body(&head)), ("200", ""));
}

#[test]
fn there_is_no_way_out_of_the_root() {
    let server = Server::start("root");
    let outside = server.root.join("../secret.txt");
    fs::write(&outside, "secret").unwrap();
    let outside = outside.canonicalize().unwrap();
    let outside = outside.to_str().unwrap();
    fs::create_dir(server.root.join("sub")).unwrap();
    fs::write(server.root.join("inside.txt"), "inside").unwrap();

    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/../",
        "/%2e%2e/",
        "/sub/%2e%2e/%2e%2e/",
        "/%2e%2e%2f",
        "/inside.txt%00",
        "/%00/",
        "/inside.txt/",
        "/inside.txt/..",
        outside,
        &format!("/{outside}"),
        &outside.replace('/', "%2f"),
        &format!("/%2f{}", &outside[1..]),
    ] {
        let answer = server.ask(path, "");
        // A request target that does not begin with a slash is none.
        assert!(
            ["404", "400"].contains(&status(&answer)),
            "{path}: {answer}"
        );
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
}

#[test]
fn links_out_of_the_root_and_pipes_are_not_found() {
    let server = Server::start("links");
    let root: &Path = &server.root;
    fs::write(root.join("../secret.txt"), "secret").unwrap();
    fs::write(root.join("inside.txt"), "inside").unwrap();
    symlink("inside.txt", root.join("good")).unwrap();
    symlink("../secret.txt", root.join("relative")).unwrap();
    symlink(root.join("../secret.txt"), root.join("absolute")).unwrap();
    symlink("..", root.join("parent")).unwrap();
    let pipe = Command::new("mkfifo").arg(root.join("pipe")).status();
    assert!(pipe.unwrap().success());

    assert_eq!(body(&server.ask("/good", "")), "inside");
    for path in [
        "/relative",
        "/absolute",
        "/parent",
        "/parent/",
        "/parent/secret.txt",
        "/parent/root/inside.txt",
        "/pipe",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.request(method, path, "");
            assert_eq!(status(&answer), "404", "{path}: {answer}");
            assert!(!answer.contains("secret"), "{path}: {answer}");
        }
    }
    let listing = server.ask("/", "");
    assert!(body(&listing).contains("good"), "{listing}");
    for name in ["relative", "absolute", "parent", "pipe"] {
        assert!(!body(&listing).contains(name), "{listing}");
    }
}

/// A client that is there and reads nothing shows, without a network to cut, that the time reaches the
/// socket of each connection.
#[test]
#[cfg(target_os = "linux")]
fn a_dead_peer_is_found_out() {
    let root = directory("dead_peer_timeout");
    let mut command = Command::new(binary("file_server"));
    command.arg("--root").arg(&root);
    let mut server = Server::run(command.args(["--dead-peer-timeout", "4"]), root);
    server.sparse("huge", HUGE);
    let start = Instant::now();
    let client = server.begin("/huge", "");
    let line = server.example.line("/huge");
    assert!(line.contains("timed out"), "{line}");
    let after = start.elapsed();
    assert!(after > Duration::from_secs(3), "{after:?}");
    assert!(after < DEADLINE, "{after:?}");
    drop(client);
}

#[test]
fn a_dead_peer_timeout_that_no_timer_fits_is_refused() {
    for seconds in ["0", "3", "86401", "-1", "soon"] {
        refuses(
            "file_server",
            &["--root", ".", &format!("--dead-peer-timeout={seconds}")],
            "--dead-peer-timeout",
        );
    }
}

/// Waits until nobody listens any more.
fn wait_until_refused(server: &Server) {
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(&server.address).is_ok() {
        assert!(Instant::now() < deadline, "still accepts connections");
    }
}

#[test]
fn ctrl_c_drains() {
    let mut server = Server::start("drain");
    server.sparse("large.bin", LARGE);
    let mut client = server.begin("/large.bin", "");
    // It has its answer, so it is not one that the kernel has accepted and the server has not.
    server.sparse("empty.bin", 0);
    let mut idle = server.begin("/empty.bin", "");
    server.example.interrupt();
    server.example.line("ending: ");
    wait_until_refused(&server);
    // A connection without a request has nothing to finish.
    idle.read_to_end(&mut Vec::new()).unwrap();

    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    let head = rest.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!((rest.len() - head) as u64, LARGE);
    let line = server.example.line("GET /large.bin 200: ");
    assert!(line.ends_with(" bytes, complete"), "{line}");
    let (status, _) = server.example.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_second_ctrl_c_ends_the_running_downloads() {
    let mut server = Server::start("twice");
    server.sparse("large.bin", LARGE);
    let client = server.begin("/large.bin", "");
    server.example.interrupt();
    server.example.line("ending: ");
    server.example.interrupt();
    let line = server.example.line("GET /large.bin 200: ");
    // Whichever the runtime drops first: the connection, its watcher, or the read of the file.
    let local = [
        " bytes, stream aborted",
        " bytes, stream dropped",
        " bytes, runtime shut down",
        " bytes, given up by this server",
        "task was cancelled",
    ];
    assert!(local.iter().any(|end| line.contains(end)), "{line}");
    let (status, _) = server.example.end();
    assert_eq!(status.code(), Some(0));
    drop(client);
}

/// More clients come than the server may have descriptors. It neither ends nor spins, and serves
/// again when some have left.
#[cfg(target_os = "linux")]
#[test]
fn the_limit_on_descriptors_is_survived() {
    let root = directory("descriptors").join("root");
    fs::create_dir(&root).unwrap();
    let mut command = Command::new("sh");
    // So few that they are used up before the server closes idle connections for new ones, which it does from 8 on.
    // And none of those that this process has inherited.
    let limited = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 18; exec \"$0\" \"$@\"";
    command.args(["-c", limited]);
    command.arg(binary("file_server")).arg("--root").arg(&root);
    let mut server = Server::run(&mut command, root);

    let clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    server
        .example
        .line("cannot accept connections, trying again: ");
    let before = processor_time(&server);
    server.example.silent_for(Duration::from_secs(2));
    assert!(processor_time(&server) - before < Duration::from_secs(1));

    drop(clients);
    // The ends of the 64 clients use descriptors until the server has seen them.
    let deadline = Instant::now() + DEADLINE;
    loop {
        match status(&server.ask("/", "")) {
            "200" => break,
            other => assert_eq!(other, "503"),
        }
        assert!(Instant::now() < deadline);
    }
}

/// A listing takes some descriptors, and there are none, one, two, or more. With all but the last the server listed the
/// directory without its entries, and said that this was all.
#[cfg(target_os = "linux")]
#[test]
fn a_listing_that_lacks_a_descriptor() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let server = Server::start("listing-descriptors");
    for name in ["one", "two"] {
        server.sparse(name, 1);
    }
    // Its connection has its descriptor already.
    let mut client = BufReader::new(server.connect());
    let mut list = || {
        let request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        client.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            assert!(client.read_line(&mut answer).unwrap() > 0, "{answer}");
        }
        let mut text = vec![0; header(&answer, "content-length").parse().unwrap()];
        client.read_exact(&mut text).unwrap();
        answer + std::str::from_utf8(&text).unwrap()
    };
    let whole = list();
    assert_eq!(status(&whole), "200");
    assert!(whole.contains("one") && whole.contains("two"), "{whole}");

    let pid = Pid::from_raw(i32::try_from(server.example.id()).unwrap()).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", server.example.id())).unwrap();
    let numbers = open.map(|open| open.unwrap().file_name().to_str().unwrap().parse::<u64>());
    let most = numbers.map(Result::unwrap).max().unwrap() + 1;
    let mut refusals = Vec::new();
    for limit in 3..most + 8 {
        let (current, maximum) = (Some(limit), Some(most + 8));
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).unwrap();
        let answer = list();
        match status(&answer) {
            "200" => assert_eq!(body(&answer), body(&whole), "with a limit of {limit}"),
            status => {
                assert_eq!(status, "503", "with a limit of {limit}: {answer}");
                refusals.push(body(&answer).to_owned());
            }
        }
    }
    assert_eq!(status(&list()), "200", "there are enough");
    // The folder, or its index, and then the listing.
    refusals.dedup();
    assert_eq!(
        refusals,
        ["Service Unavailable\n", "cannot list this directory now\n"]
    );
}

/// The processor time that the server has used.
#[cfg(target_os = "linux")]
fn processor_time(server: &Server) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.example.id())).unwrap();
    let nanoseconds = tasks.map(|task| {
        let schedstat = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        let time = schedstat.split(' ').next().unwrap();
        time.parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[test]
fn what_cannot_be_served_is_told() {
    let output = Command::new(binary("file_server"))
        .args(["--root", "/no/such/directory"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(told.contains("/no/such/directory"), "{told}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(binary("file_server"))
        .args(["--root", ".", "--listen", &address])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(told.contains(&address), "{told}");
}
