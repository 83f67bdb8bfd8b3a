//! The clients.

use super::server::Server;
use super::{Client, Left, Report, Way, started};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BODY: usize = 100_000;
const TAKEN: usize = 1024 * 1024;

/// A socket, and HTTP by hand.
pub(crate) struct Raw;

impl Client for Raw {
    const NAME: &'static str = "socket";

    fn leave(server: &Server, way: Way) -> Option<Left> {
        let (exchange, reports) = server.exchange();
        let mut socket = TcpStream::connect(server.address).unwrap();
        let target = format!("/{}/{exchange} HTTP/1.1\r\nhost: test\r\n", way.path());
        let mut request = format!("GET {target}\r\n").into_bytes();
        match way {
            Way::FinBehindPipelined => request.extend(request.clone()),
            Way::FinBehindBody => {
                request = format!("POST {target}content-length: {BODY}\r\n\r\n").into_bytes();
                request.resize(request.len() + BODY, b'x');
            }
            _ => {}
        }
        socket.write_all(&request).unwrap();
        started(&reports);
        match way {
            Way::FinBetweenEvents => take(&mut socket, "data: event"),
            Way::FinUnderBulk => socket.read_exact(&mut vec![0; TAKEN]).unwrap(),
            Way::ResetIdle => {
                let now = Some(Duration::ZERO);
                SockRef::from(&socket).set_linger(now).unwrap();
            }
            _ => {}
        }
        let at = Instant::now();
        match way {
            Way::NotReading => return Some(left(at, reports, Some(socket))),
            // With unread data in its buffer a close would be a reset.
            Way::FinUnderBulk => socket.shutdown(Shutdown::Write).unwrap(),
            _ => drop(socket),
        }
        Some(left(at, reports, None::<TcpStream>))
    }
}

/// curl, which is killed.
pub(crate) struct Curl(Child);

impl Curl {
    pub(crate) fn is_here() -> bool {
        let here = Command::new("curl").arg("--version").output().is_ok();
        if !here {
            assert!(
                std::env::var_os("CI").is_none(),
                "there is no curl, and CI needs it"
            );
            println!("skipped: there is no curl here");
        }
        here
    }
}

impl Client for Curl {
    const NAME: &'static str = "curl";

    fn leave(server: &Server, way: Way) -> Option<Left> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer"]);
        match way {
            // What curl cannot do.
            Way::ResetIdle | Way::FinBehindPipelined => return None,
            Way::FinBehindBody => {
                command.args(["--header", "expect:", "--data-binary", "@-"]);
                command.stdin(Stdio::piped());
            }
            _ => {}
        }
        let (exchange, reports) = server.exchange();
        command.arg(format!(
            "http://{}/{}/{exchange}",
            server.address,
            way.path()
        ));
        let mut curl = Self(command.stdout(Stdio::piped()).spawn().unwrap());
        if let Some(mut body) = curl.0.stdin.take() {
            body.write_all(&[b'x'; BODY]).unwrap();
        }
        started(&reports);
        let mut output = curl.0.stdout.take().unwrap();
        match way {
            Way::FinBetweenEvents => take(&mut output, "data: event"),
            Way::FinUnderBulk => output.read_exact(&mut vec![0; TAKEN]).unwrap(),
            _ => {}
        }
        let at = Instant::now();
        if way == Way::NotReading {
            // Its output is a pipe that nobody reads.
            return Some(left(at, reports, Some((curl, output))));
        }
        drop(curl);
        Some(left(at, reports, None::<Self>))
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn left<T: 'static>(
    at: Instant,
    reports: std::sync::mpsc::Receiver<Report>,
    client: Option<T>,
) -> Left {
    Left {
        at,
        reports,
        client: client.map(|client| Box::new(client) as Box<dyn std::any::Any>),
    }
}

/// Reads until `part` has come.
fn take(from: &mut impl Read, part: &str) {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(part) {
        let mut chunk = [0; 512];
        let bytes = from.read(&mut chunk).unwrap();
        assert!(bytes > 0, "{}", String::from_utf8_lossy(&read));
        read.extend(&chunk[..bytes]);
    }
}
