//! A language model that stops at once when nobody reads its answer any more.
//!
//! ```sh
//! cargo run --release --example tokens --features axum             # and open the page
//! cargo run --release --example tokens --features axum -- --drive  # see the difference
//! ```

mod answer;
mod drive;
mod model;
mod options;
mod site;

use answer::Outcome;
use hangup::MonitoredListener;
use hangup::axum::Peer;
use options::{Generator, Options};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[tokio::main]
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => match run(&options).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Ok(None) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `tokens --help`."), 2),
    };
    eprintln!("tokens: {error}");
    ExitCode::from(status)
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    if options.drive {
        return drive::drive(options.generator).await;
    }
    let (address, mut outcomes) = serve(options.listen, options.generator)
        .await
        .map_err(|error| format!("--listen {}: {error}", options.listen))?;
    println!("listening on http://{address}/ (Ctrl-C ends it)");
    loop {
        tokio::select! {
            outcome = outcomes.recv() => match outcome {
                Some(outcome) => println!("{outcome}"),
                None => return Err("the server has ended".into()),
            },
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        }
    }
}

/// Starts a server, and tells where it listens and what becomes of each answer.
async fn serve(
    listen: SocketAddr,
    generator: Generator,
) -> io::Result<(SocketAddr, UnboundedReceiver<Outcome>)> {
    let listener = MonitoredListener::bind(listen)
        .await?
        .on_accept_error(|error| eprintln!("cannot accept, will try on: {error}"));
    let address = listener.local_addr()?;
    let (sender, outcomes) = unbounded_channel();
    let service = site::router(generator, sender).into_make_service_with_connect_info::<Peer>();
    tokio::spawn(axum::serve(listener, service).into_future());
    Ok((address, outcomes))
}
