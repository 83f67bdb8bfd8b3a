//! A TCP proxy that ends both sides when one of them hangs up, and prints how much each received.
//!
//! ```sh
//! cargo run --release --example proxy -- 127.0.0.1:8080 127.0.0.1:80
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "program/print.rs"]
mod print;
#[path = "program/accept_errors.rs"]
mod accept_errors;
#[path = "program/signals.rs"]
mod signals;

use anyhow::{Context, bail};
use clap::Parser;
use hangup::{
    CloseReason, HalfClose, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy,
    Transfer, copy_bidirectional,
};
use hangup_dashboard::Dashboard;
use signals::Signals;
use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

type Stream = MonitoredStream<TcpStream>;

/// How long to wait at the end until a side has acknowledged what the other one had sent.
const FINISH: Duration = Duration::from_secs(30);

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Passes TCP connections on, and ends both sides when either hangs up.
///
/// What a side sent before it left is still delivered to the other one. A side that takes less than 64 KiB in a minute,
/// while there is more for it, is reset.
///
/// Prints one line for each connection at its end: for the client and for the server how many bytes came from it, how
/// many its socket accepted, how many of those its system acknowledged, and why it closed.
///
/// Ctrl-C or SIGTERM ends the proxy: running connections go on for up to --drain seconds, or until a second signal.
#[derive(Parser, Clone)]
struct Args {
    /// The address to listen on, for example 127.0.0.1:8080; port 0 takes a free one
    listen: SocketAddr,
    /// The server's address, for example 127.0.0.1:80 or example.org:80
    target: Arc<str>,
    /// Pass a FIN on as a half-close, and go on in the other direction
    #[arg(long)]
    half_close: bool,
    /// How many connections may be open at the same time; others wait
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// How long running connections may go on after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    drain: u64,
    /// Show the connections on a page at this address, which has counters for Prometheus too
    #[arg(long, value_name = "ADDR")]
    dashboard: Option<SocketAddr>,
    /// Print the close of each stream on standard error (build with --features tracing)
    #[arg(long)]
    trace: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.trace {
        start_tracing()?;
    }
    let mut signals = Signals::new()?;
    let proxy = Proxy::new(&args);
    if let Some(address) = args.dashboard {
        serve_dashboard(address, &proxy.dashboard).await?;
    }
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .config(proxy.config.clone())
        .on_accept_error(accept_errors::print_changes());
    say!(
        "{} to {} (Ctrl-C ends it)",
        listener.local_addr()?,
        args.target
    );

    let mut running = JoinSet::new();
    let mut summary = Summary::default();
    loop {
        let room = running.len() < args.connections as usize;
        tokio::select! {
            () = signals.next() => break,
            Some(ended) = running.join_next() => summary.add(ended?),
            (client, address) = listener.accept_retrying(), if room => {
                running.spawn(proxy.clone().serve(client, address));
            }
        }
    }
    drop(listener);
    say!("ending: no new connections; a second signal ends those that run");
    let mut deadline = std::pin::pin!(sleep(Duration::from_secs(args.drain)));
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(ended) => summary.add(ended?),
                None => break,
            },
            () = &mut deadline, if !proxy.end.is_cancelled() => proxy.end.cancel(),
            () = signals.next() => proxy.end.cancel(),
        }
    }
    say!("{summary}");
    Ok(())
}

/// What all connections share.
#[derive(Clone)]
struct Proxy {
    target: Arc<str>,
    config: MonitorConfig,
    dashboard: Dashboard,
    /// Cancelled when running connections are to end.
    end: CancellationToken,
}

/// The two sides of a connection at its end, or why there was no server.
type Ended = io::Result<(Side, Side)>;

/// The client or the server.
struct Side {
    transfer: Transfer,
    /// `None` if the proxy ended it.
    reason: Option<CloseReason>,
}

impl Proxy {
    fn new(args: &Args) -> Self {
        let half_close = if args.half_close {
            HalfClose::Allow
        } else {
            HalfClose::Close
        };
        let config = MonitorConfig::new()
            .half_close(half_close)
            .stall(StallPolicy::new(64 * 1024, Duration::from_secs(60)))
            .reset_on_stall(true);
        Self {
            target: args.target.clone(),
            config,
            dashboard: Dashboard::builder().title("Connections of proxy").build(),
            end: CancellationToken::new(),
        }
    }

    /// Serves a client until its connection is over, and prints the line about it.
    async fn serve(self, client: Stream, address: SocketAddr) -> Ended {
        let began = Instant::now();
        let ended = self.pass(client, address).await;
        let lasted = began.elapsed().as_secs_f64();
        match &ended {
            Ok((client, server)) => {
                say!("{address}: client: {client}; server: {server}; {lasted:.3} s");
            }
            Err(error) => say!("{address}: no server: {error}; {lasted:.3} s"),
        }
        ended
    }

    async fn pass(&self, mut client: Stream, address: SocketAddr) -> Ended {
        self.dashboard.track(address, &client.monitor());
        client.get_ref().set_nodelay(true)?;
        // A client that leaves meanwhile may have sent something to be delivered.
        let server = tokio::select! {
            server = timeout(CONNECT, TcpStream::connect(&*self.target)) => server??,
            () = self.end.cancelled() => return Err(CloseReason::Dropped.into()),
        };
        server.set_nodelay(true)?;
        let peer = server.peer_addr()?;
        let mut server = MonitoredStream::with_config(server, &self.config)?;
        self.dashboard.track(peer, &server.monitor());
        let passing = async {
            copy_bidirectional(&mut client, &mut server).await;
            see_off(client.close_reason(), &mut server).await;
            see_off(server.close_reason(), &mut client).await;
        };
        tokio::select! {
            () = passing => {}
            () = self.end.cancelled() => {}
        }
        Ok((Side::of(&client), Side::of(&server)))
    }
}

/// Ends the side that stayed in the way in which the other one ended.
async fn see_off(left: Option<CloseReason>, stayed: &mut Stream) {
    match left {
        _ if stayed.is_closed() => {}
        // All of it was delivered: wait until it has arrived. If it does not, the line says how much did.
        Some(CloseReason::PeerClosed | CloseReason::Finished) => {
            let _ = stayed.finish(FINISH).await;
        }
        // A part must not be taken for the whole: deliver what was accepted, and then reset.
        Some(_) => {
            let _ = stayed.reset_after_delivery(FINISH).await;
        }
        None => {}
    }
}

impl Side {
    fn of(stream: &Stream) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transfer { read, accepted, .. } = self.transfer;
        write!(f, "{read} bytes from it, {accepted} accepted, ")?;
        match self.transfer.acknowledged {
            Some(bytes) => write!(f, "{bytes} acknowledged, ")?,
            None => f.write_str("acknowledged unknown, ")?,
        }
        match &self.reason {
            Some(reason) => write!(f, "{reason}"),
            None => f.write_str("ended by the proxy"),
        }
    }
}

/// The connections that have ended.
#[derive(Default)]
struct Summary {
    connections: u64,
    without_server: u64,
    from_clients: u64,
    from_servers: u64,
}

impl Summary {
    fn add(&mut self, ended: Ended) {
        self.connections += 1;
        match ended {
            Ok((client, server)) => {
                self.from_clients += client.transfer.read;
                self.from_servers += server.transfer.read;
            }
            Err(_) => self.without_server += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            without_server,
            from_clients,
            from_servers,
        } = self;
        write!(
            f,
            "{connections} connections, {without_server} without a server; \
             {from_clients} bytes from clients, {from_servers} from servers"
        )
    }
}

async fn serve_dashboard(address: SocketAddr, dashboard: &Dashboard) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on --dashboard {address}"))?;
    let url = format!("http://{}/", listener.local_addr()?);
    say!("dashboard: {}", dashboard.link(&url));
    tokio::spawn(axum::serve(listener, dashboard.router()).into_future());
    Ok(())
}

fn start_tracing() -> anyhow::Result<()> {
    if !cfg!(feature = "tracing") {
        bail!("--trace: build this example with --features tracing");
    }
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(LevelFilter::DEBUG)
        .init();
    Ok(())
}
