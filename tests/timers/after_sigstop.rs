//! A process that is stopped (SIGSTOP, a debugger, a frozen container) for longer than each of its limits.
//!
//! Its clock runs on meanwhile, so every limit is exceeded when it continues. What its kernel has received counts: no
//! connection is given up, and no message is sent twice.
//!
//! It waits the longest of these tests, so its name is the first: tests begin in the order of their names.

use crate::support::{DEADLINE, within};
use hangup::outbox::{Confirm, Outbox, Processed};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio_util::codec::LinesCodec;

const SENDER: &str = "HANGUP_STOPPED_SENDER";

/// Longer than a step of the test takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(2);
/// The shortest that is allowed.
const DEAD_PEER: Duration = Duration::from_secs(4);

/// The process that is stopped. As a test of its own it has nothing to do.
#[tokio::test]
async fn sender() {
    let Ok(peer) = std::env::var(SENDER) else {
        return;
    };
    let peer: SocketAddr = peer.parse().unwrap();
    // The peer's greeting ends the attempt.
    let connect = move || async move {
        let mut stream = tokio::net::TcpStream::connect(peer).await?;
        stream.read_u8().await?;
        Ok(stream)
    };
    let outbox = Outbox::builder(connect, LinesCodec::new)
        .confirm(Confirm::by_peer(
            |message: &String| number(message),
            LinesCodec::new,
            |reply: String| Some(Processed::One(number(reply.strip_prefix("ok ")?))),
        ))
        .connect_timeout(LIMIT)
        .dead_peer_timeout(DEAD_PEER)
        .ack_timeout(LIMIT)
        .backoff(std::iter::repeat(LIMIT))
        .spawn()
        .unwrap();
    for number in 1..=3 {
        let receipt = outbox.send(format!("{number} a")).await.unwrap();
        within(receipt).await.unwrap();
    }
    let status = outbox.status();
    println!("\nconnects {} resent {}", status.connects, status.resent);
}

/// The number at the beginning of a message, or the one of a reply.
fn number(text: &str) -> u64 {
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Waits without a runtime.
fn wait(time: Duration) {
    let began = Instant::now();
    while let Some(rest) = time.checked_sub(began.elapsed()) {
        std::thread::park_timeout(rest);
    }
}

/// Stops the process for longer than `limit`. `meanwhile` runs when it has stopped.
fn stop(child: &Child, limit: Duration, meanwhile: impl FnOnce()) {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    meanwhile();
    wait(limit + limit / 4);
    kill(pid, Signal::SIGCONT).unwrap();
}

struct Connection {
    stream: TcpStream,
    lines: std::io::Lines<BufReader<TcpStream>>,
}

impl Connection {
    fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + DEADLINE;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < deadline, "no connection");
            wait(Duration::from_millis(5));
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        Self { stream, lines }
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self, line: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), line);
    }

    fn confirm(&mut self, line: &str) {
        self.hear(line);
        self.say(&format!("ok {}\n", number(line)));
    }
}

#[test]
fn a_process_that_was_stopped_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "after_sigstop::sender",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(SENDER, listener.local_addr().unwrap().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    // Within an attempt to connect.
    let mut first = Connection::accept(&listener);
    stop(&child, LIMIT, || first.say("!"));
    // Between a message and its confirmation.
    first.hear("1 a");
    stop(&child, DEAD_PEER, || first.say("ok 1\n"));
    first.confirm("2 a");
    // Within the delay before the next attempt.
    first.hear("3 a");
    drop(first);
    stop(&child, LIMIT, || {});
    let mut second = Connection::accept(&listener);
    second.say("!");
    second.confirm("3 a");

    let mut output = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{output}");
    assert!(output.contains("\nconnects 2 resent 1\n"), "{output}");
}
