//! A TCP proxy that ends both sides when one of them hangs up, and prints how much each received.
//!
//! ```sh
//! cargo run --release --example proxy -- 127.0.0.1:8080 127.0.0.1:80
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
#[path = "../program/accept_errors.rs"]
mod accept_errors;
#[path = "../program/signals.rs"]
mod signals;

mod options;
mod side;
mod summary;

use anyhow::{Context, bail};
use clap::Parser;
use hangup::{
    CloseReason, HalfClose, MonitorConfig, MonitoredListener, MonitoredStream, StallPolicy,
    copy_bidirectional,
};
use hangup_dashboard::Dashboard;
use options::Options;
use side::Side;
use signals::Signals;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::{Ended, Summary};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

type Stream = MonitoredStream<TcpStream>;

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long to wait at the end until a side has acknowledged what the other one had sent.
const FINISH: Duration = Duration::from_secs(30);

/// How long a half-closed connection may stand still. Without a limit a client that is gone looks like one that waits.
const HALF_CLOSED: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.trace {
        start_tracing()?;
    }
    // A task runs on a worker, where the tasks that it spawns can begin; this function does not.
    tokio::spawn(run(options)).await?
}

async fn run(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let proxy = Proxy::new(&options);
    if let (Some(address), Some(dashboard)) = (options.dashboard, &proxy.dashboard) {
        serve_dashboard(address, dashboard).await?;
    }
    let listener = MonitoredListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?
        .config(proxy.config.clone())
        .nodelay(true)
        .on_accept_error(accept_errors::print_changes());
    say!(
        "{} to {} (Ctrl-C ends it)",
        listener.local_addr()?,
        options.target
    );

    let mut running = JoinSet::new();
    let mut summary = Summary::default();
    loop {
        let room = running.len() < options.connections as usize;
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
    let mut deadline = std::pin::pin!(sleep(Duration::from_secs(options.drain)));
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
    dashboard: Option<Dashboard>,
    /// Cancelled when running connections are to end.
    end: CancellationToken,
}

impl Proxy {
    fn new(options: &Options) -> Self {
        let half_close = if options.half_close {
            HalfClose::AllowFor(HALF_CLOSED)
        } else {
            HalfClose::Close
        };
        let config = MonitorConfig::new()
            .half_close(half_close)
            .stall(StallPolicy::new(64 * 1024, Duration::from_secs(60)))
            .reset_on_stall(true);
        let dashboard = options
            .dashboard
            .map(|_| Dashboard::builder().title("Connections of proxy").build());
        Self {
            target: options.target.clone(),
            config,
            dashboard,
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
        self.track(address, &client);
        // A client that leaves meanwhile may have sent something to be delivered.
        let server = tokio::select! {
            server = timeout(CONNECT, TcpStream::connect(&*self.target)) => server??,
            () = self.end.cancelled() => return Err(CloseReason::Dropped.into()),
        };
        server.set_nodelay(true)?;
        let mut server = MonitoredStream::with_config(server, &self.config)?;
        if self.dashboard.is_some() {
            self.track(server.peer_addr()?, &server);
        }
        let passing = async {
            let copied = copy_bidirectional(&mut client, &mut server).await;
            // If not everything arrives, the line says how much did.
            let _ = copied.pass_on(&mut client, &mut server, FINISH).await;
        };
        tokio::select! {
            () = passing => {}
            () = self.end.cancelled() => {}
        }
        Ok((Side::of(&client), Side::of(&server)))
    }

    /// Shows a stream on the page.
    fn track(&self, peer: SocketAddr, stream: &Stream) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.track(peer, &stream.monitor());
        }
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
