//! The network /dev/zero: whoever connects is sent zeros, until they leave.
//!
//! ```sh
//! cargo run --release --example dev_zero -- --every 1000
//! cargo run --release --example dev_zero -- --every 1000 --naive
//! ```
//!
//! Connect to either with the command that it prints, leave with Ctrl-C, and see when each of them
//! notices.

use hangup::{CloseReason, Closed, MonitoredListener, MonitoredStream};
use indicatif::HumanCount;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

const HELP: &str = "\
The network /dev/zero: sends zeros to whoever connects, until they leave.

Usage: dev_zero [OPTIONS]

Options:
  --listen ADDR   where to listen [default: 127.0.0.1:0, a free port]
  --every MS      send one chunk every MS milliseconds [default: 0, as fast as the client reads]
  --chunk BYTES   the size of a chunk [default: 65536]
  --naive         learn of the hang-up from failed writes alone, as without `hangup`
  --clients N     end after N clients [default: go on for ever]
  -h, --help      print this help

Prints one line a client: who it was, how many bytes the kernel accepted for it, why its stream is
over, how long after the hang-up the sending stopped, and how much was produced in that time.

To see the difference, run `dev_zero --every 1000` with and without `--naive`, connect with the
command that it prints (any client that takes raw bytes will do; to curl that is gopher), and leave
with Ctrl-C. A naive sender learns of the hang-up with the second chunk that it sends to nobody: the
first one is accepted, and answered by a reset.";

struct Options {
    listen: SocketAddr,
    every: Duration,
    chunk: usize,
    naive: bool,
    clients: u64,
}

impl Options {
    /// The command line; `None` if it asks for help.
    fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            every: Duration::ZERO,
            chunk: 64 * 1024,
            naive: false,
            clients: u64::MAX,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Long("listen") => options.listen = args.value()?.parse()?,
                Long("every") => options.every = Duration::from_millis(args.value()?.parse()?),
                Long("chunk") => options.chunk = args.value()?.parse()?,
                Long("naive") => options.naive = true,
                Long("clients") => options.clients = args.value()?.parse()?,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        if options.chunk == 0 {
            return Err("--chunk: a chunk has at least one byte".into());
        }
        Ok(Some(options))
    }
}

/// Makes the chunks, one each `every`, and counts their bytes.
struct Zeros {
    chunk: Vec<u8>,
    pace: Option<Interval>,
    produced: Arc<AtomicU64>,
}

impl Zeros {
    fn new(options: &Options) -> Self {
        let pace = (!options.every.is_zero()).then(|| {
            let mut pace = tokio::time::interval(options.every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        Self {
            chunk: vec![0; options.chunk],
            pace,
            produced: Arc::default(),
        }
    }

    async fn next(&mut self) -> &[u8] {
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        self.produced.fetch_add(self.chunk.len() as u64, Relaxed);
        &self.chunk
    }
}

/// Sends until `closed` resolves. Returns how many bytes were accepted, and why it stopped.
async fn send(stream: &mut MonitoredStream<TcpStream>, zeros: &mut Zeros) -> (u64, String) {
    let monitor = stream.monitor();
    let mut closed = stream.closed();
    let reason = loop {
        tokio::select! {
            biased;
            reason = &mut closed => break reason,
            sent = async { stream.write_all(zeros.next().await).await } => {
                if let Err(error) = sent {
                    break CloseReason::from(&error);
                }
            }
        }
    };
    (monitor.accepted(), reason.to_string())
}

/// The same on the bare stream: sends until a write fails.
async fn send_naively(stream: &mut TcpStream, zeros: &mut Zeros) -> (u64, String) {
    let mut accepted = 0;
    loop {
        let mut chunk = zeros.next().await;
        while !chunk.is_empty() {
            match stream.write(chunk).await {
                Ok(bytes) => {
                    accepted += bytes as u64;
                    chunk = &chunk[bytes..];
                }
                Err(error) => return (accepted, error.to_string()),
            }
        }
    }
}

/// The stopwatch of both senders: when the hang-up came, and how much had been produced by then.
async fn hang_up(closed: Closed, produced: Arc<AtomicU64>) -> (Instant, u64) {
    closed.await;
    (Instant::now(), produced.load(Relaxed))
}

async fn serve(
    mut stream: MonitoredStream<TcpStream>,
    client: SocketAddr,
    options: Arc<Options>,
) -> io::Result<()> {
    let mut zeros = Zeros::new(&options);
    let stopwatch = tokio::spawn(hang_up(stream.closed(), zeros.produced.clone()));
    let (accepted, reason) = if options.naive {
        send_naively(stream.get_mut(), &mut zeros).await
    } else {
        send(&mut stream, &mut zeros).await
    };
    let stopped = Instant::now();
    // The stopwatch stops now at the latest.
    drop(stream);
    let (hung_up, produced) = stopwatch.await?;
    let late = stopped.saturating_duration_since(hung_up);
    let for_nobody = zeros.produced.load(Relaxed) - produced;
    writeln!(
        io::stdout(),
        "{client}: {} bytes accepted, {reason}; stopped {:.2} ms after the hang-up, {} bytes produced after it",
        HumanCount(accepted),
        late.as_secs_f64() * 1e3,
        HumanCount(for_nobody),
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => match listen(Arc::new(options)).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `dev_zero --help`."), 2),
    };
    eprintln!("dev_zero: {error}");
    ExitCode::from(status)
}

/// Serves as many clients as the options say.
async fn listen(options: Arc<Options>) -> Result<(), Box<dyn std::error::Error>> {
    let listener = MonitoredListener::bind(options.listen)
        .await
        .map_err(|error| format!("--listen {}: {error}", options.listen))?;
    let address = listener.local_addr()?;
    println!("listening on {address}; try: curl --output /dev/null gopher://{address}/");

    let mut clients = JoinSet::new();
    let mut accepted = 0;
    while accepted < options.clients {
        match listener.accept().await {
            Ok((stream, client)) => {
                accepted += 1;
                clients.spawn(serve(stream, client, options.clone()));
            }
            // A limit on descriptors, or a client that left again: the others go on.
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        // Those that are done need no place in the set any more.
        while clients.try_join_next().is_some() {}
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}
