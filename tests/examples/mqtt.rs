//! `mqtt` publishes to mosquitto: no line is lost, whatever happens to the link and to the broker.

use crate::process::{DEADLINE, Example, binary, explains, number, refuses};
use fastrand::Rng;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, copy};
use tokio::net::{TcpListener, UnixStream};

const TOPIC: &str = "doors/7";

/// The broker's program, if it is there.
fn mosquitto() -> Option<&'static str> {
    // Debian has it in a directory of the administrator's.
    let places = ["mosquitto", "/usr/sbin/mosquitto"];
    let found = places
        .into_iter()
        .find(|place| Command::new(place).arg("-h").output().is_ok());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "there is no mosquitto, and CI needs it"
        );
        println!("skipped: there is no mosquitto here");
    }
    found
}

/// A broker at a Unix socket, which keeps its sessions over a restart.
struct Broker {
    program: &'static str,
    directory: TempDir,
    running: Option<Example>,
}

impl Broker {
    /// Starts a broker with this line in its configuration.
    fn start(program: &'static str, line: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        // A broker that is started as root becomes another user otherwise, who cannot write here. By default it drops
        // the messages of a session beyond a thousand.
        let config = format!(
            "listener 0 {path}/socket\npersistence true\npersistence_location {path}/\nuser root\n\
             max_queued_messages 0\nlog_dest stderr\n{line}\n"
        );
        std::fs::write(directory.path().join("config"), config).unwrap();
        let mut broker = Self {
            program,
            directory,
            running: None,
        };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let mut command = Command::new(self.program);
        command.arg("-c").arg(self.directory.path().join("config"));
        let mut running = Example::start(&mut command);
        running.line(" running");
        self.running = Some(running);
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Ends the broker in order, and starts it again.
    fn restart(&mut self) {
        let running = self.running.take().unwrap();
        running.terminate();
        let (status, printed) = running.end();
        assert!(status.success(), "{printed:#?}");
        let _ = std::fs::remove_file(self.socket());
        self.run();
    }

    /// A subscriber whose session outlives it.
    fn subscriber(&self) -> Command {
        let mut command = Command::new("mosquitto_sub");
        command.arg("--unix").arg(self.socket());
        command.args(["-t", TOPIC, "-q", "1", "-c", "-i", "station"]);
        command
    }
}

/// Passes the bytes of one connection after the other on to the broker, and cuts each connection after some.
async fn relay(listener: TcpListener, broker: PathBuf, cut: Option<Sender<()>>) {
    let mut random = Rng::with_seed(7);
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        // It may be about to start again.
        let Ok(mut broker) = UnixStream::connect(&broker).await else {
            continue;
        };
        let (up, down) = match cut {
            Some(_) => (random.u64(1_000..16_000), random.u64(50..2_000)),
            None => (u64::MAX, u64::MAX),
        };
        let (from_client, mut to_client) = client.split();
        let (from_broker, mut to_broker) = broker.split();
        let (mut from_client, mut from_broker) = (from_client.take(up), from_broker.take(down));
        tokio::select! {
            _ = copy(&mut from_client, &mut to_broker) => {}
            _ = copy(&mut from_broker, &mut to_client) => {}
        }
        if let Some(cut) = &cut {
            // Nobody counts the last ones.
            let _ = cut.send(());
        }
    }
}

/// Starts the example behind a relay. Returns what feeds it.
fn publish(broker: &Broker, cut: Option<Sender<()>>) -> (Example, io::PipeWriter) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let socket = broker.socket();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        runtime.unwrap().block_on(async {
            relay(TcpListener::from_std(listener).unwrap(), socket, cut).await;
        });
    });
    let (reader, writer) = io::pipe().unwrap();
    let mut command = Command::new(binary("mqtt"));
    command.args(["--broker", &address, "--topic", TOPIC]);
    (Example::start_with(&mut command, reader.into()), writer)
}

/// The link is cut some sixty times, mostly within a packet, and the broker is restarted three times, while twenty lines
/// are unconfirmed.
#[test]
fn no_line_is_lost() {
    const LINES: u64 = 4000;
    let Some(program) = mosquitto() else { return };
    let began = Instant::now();
    let mut broker = Broker::start(program, "allow_anonymous true");
    let subscribed = broker.subscriber().arg("-E").status().unwrap();
    assert!(subscribed.success());

    let (cut, cuts) = channel();
    let (example, mut lines) = publish(&broker, Some(cut));
    for number in 0..LINES {
        writeln!(lines, "{number} {:90}", "opened").unwrap();
    }
    for _ in 0..3 {
        for _ in 0..8 {
            cuts.recv_timeout(DEADLINE).unwrap();
        }
        broker.restart();
    }
    writeln!(lines, "end").unwrap();
    drop(lines);
    let (status, printed) = example.end();
    assert!(status.success(), "{printed:#?}");
    let summary = printed.last().unwrap();
    assert_eq!(number(summary, " lines confirmed"), LINES + 1, "{summary}");
    assert!(number(summary, " published again") > 0, "{summary}");
    assert!(number(summary, " attempts") > 24, "{summary}");

    // It ends by itself if the last line does not come.
    let mut subscriber = broker.subscriber();
    let subscriber = subscriber.args(["-W", "30"]).stdout(Stdio::piped());
    let mut subscriber = subscriber.spawn().unwrap();
    let (mut next, mut again, mut ended) = (0, 0, false);
    for line in BufReader::new(subscriber.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "end" {
            ended = true;
            break;
        }
        let number: u64 = line.split(' ').next().unwrap().parse().unwrap();
        assert!(number <= next, "{number} came, and {next} did not");
        match number == next {
            true => next += 1,
            false => again += 1,
        }
    }
    let _ = subscriber.kill();
    let _ = subscriber.wait();
    assert!(ended, "{next} lines came, and no end");
    assert_eq!(next, LINES);
    println!("{summary}; {again} came twice; {:.1?}", began.elapsed());
}

/// A program that feeds it, such as `vmstat 1`, may never end. Ctrl-C ended the example in the midst of its lines.
#[cfg(unix)]
#[test]
fn a_signal_lets_it_end_in_order() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program, "allow_anonymous true");
    let subscribed = broker.subscriber().arg("-E").status().unwrap();
    assert!(subscribed.success());
    let (example, mut lines) = publish(&broker, None);
    writeln!(lines, "opened").unwrap();
    let mut subscriber = broker.subscriber();
    let came = subscriber.args(["-C", "1", "-W", "30"]).status().unwrap();
    assert!(came.success());
    example.terminate();
    let (status, printed) = example.end();
    assert!(status.success(), "{printed:#?}");
    let summary = printed.last().unwrap();
    assert_eq!(number(summary, " lines confirmed"), 1, "{summary}");
}

/// A broker that wants a password: no attempt would change that.
#[test]
fn a_refusal_is_told() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program, "allow_anonymous false");
    let (mut example, mut lines) = publish(&broker, None);
    writeln!(lines, "opened").unwrap();
    example.line("gave up: the broker refuses: NotAuthorized");
    drop(lines);
    let (status, printed) = example.end();
    assert_eq!(status.code(), Some(1), "{printed:#?}");
    // The outbox gave up before the line was read, or after.
    let told = printed.iter().any(|line| line.starts_with("Error: "));
    assert!(told, "{printed:#?}");
}

#[test]
fn a_wrong_command_line_is_told() {
    explains("mqtt", "--client-id <ID>");
    for (arguments, why) in [
        (&["--in-flight", "0"][..], "0 is not in 1..=65535"),
        (&["--topic"], "a value is required for '--topic <TOPIC>'"),
        (&["there"], "unexpected argument 'there'"),
    ] {
        refuses("mqtt", arguments, why);
    }
}
