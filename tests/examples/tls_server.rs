//! `tls_server`, with curl and openssl as its clients.

use crate::process::{Example, explains, has, number, refuses};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn start(options: &[&str]) -> (Example, String) {
    Example::for_one_client("tls_server", options)
}

fn curl(address: &str, options: &[&str]) -> Child {
    Command::new("curl")
        .args(["--insecure", "--silent", "--no-buffer"])
        .args(options)
        .arg(format!("https://{address}/"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the client prints up to this line.
fn read_until(client: &mut Child, last: &str) {
    let output = BufReader::new(client.stdout.as_mut().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == last));
}

fn openssl(address: &str, options: &[&str]) -> Child {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", address])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = b"GET / HTTP/1.1\r\n\r\n";
    client.stdin.as_mut().unwrap().write_all(request).unwrap();
    client
}

fn has_openssl() -> bool {
    // Its own word for it.
    let found = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "there is no openssl, and CI needs it"
        );
        println!("skipped: there is no openssl here");
    }
    found
}

#[test]
fn curl_is_killed() {
    if !has("curl") {
        return;
    }
    for (option, version) in [("--tlsv1.3", "TLSv1_3"), ("--tls-max", "TLSv1_2")] {
        let (mut example, address) = start(&["--every", "5"]);
        let options: &[&str] = match option {
            "--tls-max" => &["--tls-max", "1.2"],
            option => &[option],
        };
        let mut client = curl(&address, options);
        read_until(&mut client, "line 3");
        let line = example.line(": handshake done, ");
        assert!(line.ends_with(version), "{line}");
        client.kill().unwrap();
        client.wait().unwrap();
        let line = example.line(" bytes accepted, ");
        // A reset, if the next line was on its way.
        assert!(
            line.ends_with(", truncated") || line.ends_with(", reset by peer"),
            "{line}"
        );
        assert!(number(&line, " bytes accepted") > 70, "{line}");
        assert!(example.end().0.success());
    }
}

#[test]
fn openssl_leaves_in_order() {
    if !has_openssl() {
        return;
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let (mut example, address) = start(&["--every", "5"]);
        let mut client = openssl(&address, &[version]);
        read_until(&mut client, "line 3");
        // The end of its input: it sends close_notify.
        drop(client.stdin.take());
        let line = example.line(" bytes accepted, ");
        assert!(line.ends_with(", closed by peer"), "{line}");
        client.wait().unwrap();
        assert!(example.end().0.success());
    }
}

#[test]
fn curl_refuses_the_certificate() {
    if !has("curl") {
        return;
    }
    let (mut example, address) = start(&[]);
    let status = Command::new("curl")
        .args(["--silent", &format!("https://{address}/")])
        .status()
        .unwrap();
    assert!(!status.success());
    let line = example.line(": no handshake: ");
    assert!(line.ends_with("; TLS alert from peer"), "{line}");
    assert!(example.end().0.success());
}

#[test]
fn plain_text_and_silence() {
    let (mut example, address) = start(&[]);
    let mut client = TcpStream::connect(&address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let line = example.line(": no handshake: ");
    assert!(line.ends_with("; TLS failed"), "{line}");
    assert!(example.end().0.success());

    let (mut example, address) = start(&["--handshake", "1"]);
    let client = TcpStream::connect(&address).unwrap();
    let line = example.line(": no handshake: ");
    assert!(line.ends_with("; timed out"), "{line}");
    drop(client);
    assert!(example.end().0.success());
}

#[test]
fn mistakes_in_the_command_line() {
    explains(
        "tls_server",
        "truncated            FIN without close_notify",
    );
    for options in [
        ["--handshake", "0"],
        ["--handshakes", "0"],
        ["--every", "x"],
    ] {
        refuses("tls_server", &options, options[0]);
    }
}
