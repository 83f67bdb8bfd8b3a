//! Runs `file_server`, and asks it by raw sockets and curl.

use crate::process::{DEADLINE, Example, binary, directory};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

/// A running `file_server`, and its clients.
pub(crate) struct Server {
    pub(crate) example: Example,
    pub(crate) address: String,
    pub(crate) root: PathBuf,
    /// The dashboard's token, if there is a dashboard.
    pub(crate) token: String,
}

impl Server {
    pub(crate) fn start(test: &str) -> Self {
        let root = directory(test).join("root");
        fs::create_dir(&root).unwrap();
        let mut command = Command::new(binary("file_server"));
        command.arg("--root").arg(&root);
        Self::run(&mut command, root)
    }

    pub(crate) fn run(command: &mut Command, root: PathBuf) -> Self {
        Self::watch(command.args(["--listen", "127.0.0.1:0"]), root)
    }

    pub(crate) fn watch(command: &mut Command, root: PathBuf) -> Self {
        let mut example = Example::start(command);
        let line = example.line("serving ");
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        Self {
            example,
            address,
            root,
            token: String::new(),
        }
    }

    /// A file that takes no room on the disk.
    pub(crate) fn sparse(&self, name: &str, bytes: u64) {
        let file = File::create(self.root.join(name)).unwrap();
        file.set_len(bytes).unwrap();
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client
    }

    /// Asks by a raw socket, in a connection of its own. Returns all of the answer.
    pub(crate) fn ask(&self, path: &str, headers: &str) -> String {
        self.request("GET", path, headers)
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &str) -> String {
        let mut client = self.connect();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks for a file, and reads the beginning of the answer.
    pub(crate) fn begin(&self, path: &str, more: &str) -> TcpStream {
        let mut client = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n{more}");
        client.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 15];
        client.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        client
    }

    pub(crate) fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--path-as-is",
            "--max-time",
            "30",
        ]);
        curl.arg(format!("http://{}{path}", self.address));
        curl
    }
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in {head}"))
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}
