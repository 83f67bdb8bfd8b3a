//! A file server that stops reading a file as soon as its client leaves.
//!
//! ```sh
//! cargo run --release --example file_server -- --root . --dashboard
//! ```
//!
//! HTTP is axum's, the files are tower-http's. `hangup` contributes the listener, whose connections notice a
//! client that leaves or stalls, and `hangup-dashboard` the log and the page.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
#[path = "../program/accept_errors.rs"]
mod accept_errors;
#[path = "../program/signals.rs"]
mod signals;

mod files;
mod if_range;
mod listing;

use anyhow::Context;
use axum::middleware::{from_fn, from_fn_with_state};
use clap::Parser;
use hangup::axum::{Peer, follow};
use hangup::{MonitorConfig, MonitoredListener, StallPolicy};
use hangup_dashboard::{Dashboard, record};
use signals::Signals;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Serves a directory over HTTP, and stops reading a file as soon as its client leaves.
///
/// Prints one line for each response: the client, the request, how many bytes of the body were sent, and
/// "complete" or why the response ended early. The last bytes that were sent may not have arrived: the line of a
/// response that ended early says how many the client's system had not acknowledged.
///
/// Ctrl-C or SIGTERM ends the server: running downloads go on for up to --drain seconds, or until a second
/// signal.
#[derive(Parser)]
struct Args {
    /// The directory to serve. Nothing outside of it is served, not even through a symbolic link
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Reset a client that takes fewer bytes than this in that time; "off" waits for it forever
    #[arg(long, value_name = "BYTES/SECONDS", default_value = "65536/60", value_parser = stall)]
    stall: Stall,
    /// Notice within this time that a client has lost power or network
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(4..=86_400))]
    dead_peer_timeout: Option<u64>,
    /// How long running downloads may go on after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
    /// Show the connections and downloads on a page at /_hangup; the printed link has its token
    #[arg(long)]
    dashboard: bool,
}

/// `None` is "off".
type Stall = Option<StallPolicy>;

fn stall(text: &str) -> Result<Stall, String> {
    if text == "off" {
        return Ok(None);
    }
    let parts = text.split_once('/').and_then(|(bytes, seconds)| {
        let window = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some((bytes.parse().ok()?, window))
    });
    match parts {
        Some((bytes, window)) if bytes > 0 && !window.is_zero() => {
            Ok(Some(StallPolicy::new(bytes, window)))
        }
        _ => Err("write BYTES/SECONDS, for example 65536/60, or \"off\"".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut signals = Signals::new()?;
    let files = files::router(&args.root)
        .with_context(|| format!("cannot open --root {}", args.root.display()))?;
    // A client that has stalled shall not keep what it does not read in the kernel's memory.
    let mut config = MonitorConfig::new()
        .dead_peer_timeout(args.dead_peer_timeout.map(Duration::from_secs))
        .reset_on_stall(true);
    if let Some(policy) = args.stall {
        config = config.stall(policy);
    }
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .config(config)
        .on_accept_error(accept_errors::print_changes());
    let url = format!("http://{}", listener.local_addr()?);
    say!("serving {} on {url}/ (Ctrl-C ends it)", args.root.display());

    let dashboard = Dashboard::builder()
        .title("Connections of file_server")
        .on_ended(|response| say!("{response}"))
        .build();
    let mut app = files
        .layer(from_fn(follow))
        .layer(from_fn_with_state(dashboard.clone(), record));
    if args.dashboard {
        app = app.nest_service("/_hangup", dashboard.router());
        say!("dashboard: {}", dashboard.link(&format!("{url}/_hangup")));
    }

    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(async move { stopped.notified().await });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = signals.next() => {}
    }
    say!("ending: no new connections; a second signal ends the running downloads");
    stop.notify_one();
    dashboard.drain();
    // What still runs then ends with the runtime, and is printed as it does.
    tokio::select! {
        _ = timeout(Duration::from_secs(args.drain), server) => {}
        () = signals.next() => {}
    }
    Ok(())
}
