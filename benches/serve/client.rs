//! The clients: wrk, h2load, and a socket.

use super::scratch::{GIB, MANY, Scratch};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// How many clients ask for small files at the same time.
const CLIENTS: &str = "64";

/// Asks for `file`, without reading.
pub(crate) fn ask(address: SocketAddr, file: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(
        format!("GET /{file} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    Ok(stream)
}

/// Reads the large file. How long it took.
pub(crate) fn download(address: SocketAddr) -> io::Result<Duration> {
    let mut buffer = vec![0; 1 << 20];
    let begun = Instant::now();
    let mut stream = ask(address, "large")?;
    let mut read = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            bytes => read += bytes as u64,
        }
    }
    assert!(read > GIB, "{address} sent {read} bytes");
    Ok(begun.elapsed())
}

/// Requests a second by wrk, one thread. `None` if it cannot be run.
pub(crate) fn wrk(url: &str, arguments: &[&str]) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["-t1", "-c", CLIENTS, "-d2s"])
        .args(arguments)
        .arg(url)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        println!("{url}: {text}");
    }
    value(&text, "Requests/sec:")
}

/// A script that makes wrk ask for one of many files after the other.
pub(crate) fn many_files(scratch: &Scratch) -> io::Result<String> {
    let script = format!(
        "local requests, number = {{}}, 0\n\
         init = function() for file = 0, {last} do \
         requests[file] = wrk.format('GET', '/' .. file % 100 .. '/' .. file) end end\n\
         request = function() number = (number + 7919) % {MANY}; return requests[number] end\n",
        last = MANY - 1
    );
    let path = scratch.write("many.lua", &script)?;
    Ok(path.display().to_string())
}

/// Requests a second by h2load: ten streams at a time on each of 16 connections.
pub(crate) fn h2load(url: &str) -> Option<f64> {
    let output = Command::new("h2load")
        .args(["-n100000", "-c16", "-m10", "-t1", url])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains(" 0 failed, 0 errored, 0 timeout") {
        println!("{url}: {text}");
    }
    let line = text.lines().find(|line| line.starts_with("finished in"))?;
    let rate = line
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"))?;
    rate.parse().ok()
}

fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}
