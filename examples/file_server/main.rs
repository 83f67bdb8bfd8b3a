//! A file server that stops reading a file as soon as its client leaves.
//!
//! ```sh
//! cargo run --release --example file_server -- --root . --dashboard
//! ```
//!
//! [`hangup::serve`] has the limits that a server on the open internet needs, and sends the files with
//! sendfile(2); `hangup-dashboard` makes the log and the page.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
#[path = "../program/accept_errors.rs"]
mod accept_errors;
#[path = "../program/signals.rs"]
mod signals;

mod listing;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use clap::Parser;
use hangup::serve::{FolderResponse, ServeFolder, serve};
use hangup::{MonitoredListener, StallPolicy};
use hangup_dashboard::{Dashboard, record};
use listing::Listing;
use signals::Signals;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// Notice within this time, 4 to 86400 s, that a client has lost power or network
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(4..=86_400))]
    dead_peer_timeout: u64,
    /// After a signal, let the downloads that are under way go on for up to this time, and then reset them
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
    let (mut first, mut second) = (Signals::new()?, Signals::new()?);
    let files = Files::open(&args.root)
        .with_context(|| format!("cannot open --root {}", args.root.display()))?;
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .on_accept_error(accept_errors::print_changes());
    let url = format!("http://{}", listener.local_addr()?);
    say!("serving {} on {url}/ (Ctrl-C ends it)", args.root.display());

    let dashboard = Dashboard::builder()
        .title("Connections of file_server")
        .on_ended(|response| say!("{response}"))
        .build();
    let mut app = Router::new()
        .fallback(answer)
        .with_state(files)
        .layer(from_fn_with_state(dashboard.clone(), record));
    if args.dashboard {
        app = app.nest_service("/_hangup", dashboard.router());
        say!("dashboard: {}", dashboard.link(&format!("{url}/_hangup")));
    }

    let summary = serve(listener, app)
        .stall_policy(args.stall)
        .dead_peer_timeout(Duration::from_secs(args.dead_peer_timeout))
        .shutdown_timeout(Duration::from_secs(args.drain))
        .graceful_shutdown(async move {
            first.next().await;
            say!("ending: no new connections; a second signal ends the running downloads");
            dashboard.drain();
        })
        .shutdown_at_once(async move {
            second.next().await;
            second.next().await;
        })
        .await?;
    say!("{summary}");
    Ok(())
}

#[derive(Clone)]
struct Files {
    folder: ServeFolder,
    listing: Listing,
}

impl Files {
    fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self {
            folder: ServeFolder::open(root)?,
            listing: Listing::open(root)?,
        })
    }
}

async fn answer(State(files): State<Files>, request: Request) -> Response {
    match files.folder.get(&request).await {
        FolderResponse::Directory(path) => files.listing.page(path).await,
        FolderResponse::Response(response) => response.map(Body::new),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
