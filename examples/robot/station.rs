//! The base station: reads the reports, replies to each, and counts.

use crate::accept_errors;
use crate::report::Report;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Before the next try to accept after an error: descriptors may come free meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// What the base station has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    /// Events that arrived again, and are not counted twice.
    pub(crate) again: u64,
    pub(crate) telemetry: u64,
    /// The number of the last event.
    last_event: Option<u64>,
}

pub(crate) struct Station {
    listener: TcpListener,
    replies: bool,
    seen: Arc<watch::Sender<Seen>>,
}

impl Station {
    /// Listens on a free port of this host.
    pub(crate) async fn bind(replies: bool) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind("127.0.0.1:0").await?,
            replies,
            seen: Arc::default(),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Serves one connection after the other, forever.
    pub(crate) async fn run(self) {
        let print_error = accept_errors::print_changes();
        loop {
            match self.listener.accept().await {
                // However a connection ends, the robot connects again.
                Ok((robot, _)) => drop(self.serve(robot).await),
                Err(error) => {
                    print_error(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, mut robot: TcpStream) -> io::Result<()> {
        let (input, mut output) = robot.split();
        let mut input = BufReader::new(input);
        let mut line = String::new();
        // No report is longer: whoever sends a longer line is no robot.
        let longest = Report::LONGEST as u64 + 1;
        while (&mut input).take(longest).read_line(&mut line).await? > 0 {
            // The end of the input may come within a line.
            let Some(whole) = line.strip_suffix('\n') else {
                return Ok(());
            };
            let report: Report = whole.parse().map_err(io::Error::other)?;
            self.seen.send_modify(|seen| seen.count(report));
            if self.replies {
                let reply = format!("ok {}\n", report.number());
                output.write_all(reply.as_bytes()).await?;
            }
            line.clear();
        }
        Ok(())
    }
}

impl Seen {
    fn count(&mut self, report: Report) {
        match report {
            Report::Telemetry { .. } => self.telemetry += 1,
            // Events come in order, so a number that is not higher is a repetition.
            Report::Event { number } if self.last_event >= Some(number) => self.again += 1,
            Report::Event { number } => {
                self.last_event = Some(number);
                self.events += 1;
            }
        }
    }
}
