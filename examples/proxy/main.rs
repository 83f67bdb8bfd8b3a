//! A TCP proxy that ends both sides when one hangs up, and tells what each of them got.
//!
//! ```sh
//! cargo run --release --example proxy -- 127.0.0.1:8080 127.0.0.1:80
//! cargo run --release --example proxy --features metrics,tracing -- \
//!     --trace --metrics 127.0.0.1:9100 127.0.0.1:8080 127.0.0.1:80
//! ```

mod connection;
mod metrics;
mod options;
mod summary;
mod trace;

use connection::{Connection, Report};
use options::Options;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use summary::Summary;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long to wait after an accept that failed for want of descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

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
        Err(error) => (format!("{error}\nTry `proxy --help`."), 2),
    };
    eprintln!("proxy: {error}");
    ExitCode::from(status)
}

/// Serves until Ctrl-C.
async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.trace {
        trace::start()?;
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("{}: {error}", options.listen))?;
    if let Some(address) = options.metrics {
        println!(
            "metrics on http://{}/metrics",
            metrics::serve(address).await?
        );
    }
    println!(
        "{} to {} (Ctrl-C: end)",
        listener.local_addr()?,
        options.target
    );
    let connection = Connection::new(options);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let end = CancellationToken::new();
    let mut running: JoinSet<Report> = JoinSet::new();
    let mut summary = Summary::default();
    loop {
        tokio::select! {
            interrupted = &mut interrupt => {
                interrupted?;
                break;
            }
            Some(ended) = running.join_next() => summary.add(ended?),
            accepted = listener.accept() => match accepted {
                Ok((client, address)) => {
                    let serving = connection.clone().serve(client, address, end.child_token());
                    running.spawn(trace::in_span(address, serving));
                }
                Err(error) => {
                    eprintln!("proxy: accept: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    end.cancel();
    while let Some(ended) = running.join_next().await {
        summary.add(ended?);
    }
    println!("{summary}");
    Ok(())
}
