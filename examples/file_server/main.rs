//! A file server that stops reading a file at once when its client leaves.
//!
//! ```sh
//! cargo run --release --example file_server -- --root DIR --dashboard
//! ```
//!
//! All of HTTP is axum's, hyper's and tower-http's. What is here: a listener that hands them
//! [`MonitoredStream`](hangup::MonitoredStream)s, a response body that ends with the stream, the
//! account of each download, and a page that shows them.

mod board;
mod body;
mod connection;
mod dashboard;
mod ended;
mod exchange;
mod html;
mod if_range;
mod interrupts;
mod ledger;
mod listener;
mod listing;
mod options;
mod report;
mod root;
mod site;
mod span;

use dashboard::Dashboard;
use hangup::MonitorConfig;
use interrupts::interrupts;
use listener::{Listener, Peer};
use options::Options;
use report::Report;
use site::Site;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Notify;

#[tokio::main]
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => match serve(&options).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Ok(None) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `file_server --help`."), 2),
    };
    eprintln!("file_server: {error}");
    ExitCode::from(status)
}

/// Serves until Ctrl-C.
async fn serve(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let report = Report::new();
    let site = Site::open(&options.root)
        .map_err(|error| format!("--root {}: {error}", options.root.display()))?;
    // A client that has stalled is worth none of the kernel's memory.
    let mut config = MonitorConfig::new()
        .dead_peer_timeout(options.dead_peer_timeout)
        .reset_on_stall(true);
    if let Some(policy) = options.stall {
        config = config.stall(policy);
    }
    let dashboard = options.dashboard.map(Dashboard::new);
    let board = dashboard.as_ref().map(Dashboard::board);
    let listener = Listener::bind(options.listen, config, report.clone(), board)
        .await
        .map_err(|error| format!("--listen {}: {error}", options.listen))?;
    let mut interrupts = interrupts()?;
    let address = axum::serve::Listener::local_addr(&listener)?;
    report.line(&format!(
        "serving {} on http://{address}/ (Ctrl-C: finish the running downloads, then end)",
        options.root.display(),
    ));
    if let Some(dashboard) = &dashboard {
        report.line(&dashboard.invitation(address));
    }

    let service = site
        .into_router(dashboard.clone())
        .into_make_service_with_connect_info::<Peer>();
    let drain = Arc::new(Notify::new());
    let draining = drain.clone();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(async move { draining.notified().await });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        _ = interrupts.recv() => drain.notify_one(),
    }
    if let Some(dashboard) = &dashboard {
        dashboard.drain();
    }
    report.line("draining: no new connections; Ctrl-C again ends the running downloads");
    tokio::select! {
        ended = &mut server => ended?,
        // What still runs is dropped together with the runtime, and accounted for as it goes.
        _ = interrupts.recv() => {}
    }
    Ok(())
}
