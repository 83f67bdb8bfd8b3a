//! A language model that stops when nobody reads its answer any more.
//!
//! ```sh
//! cargo run --release --example tokens -- --drive   # see the difference within seconds
//! cargo run --release --example tokens              # and open the page
//! ```

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "../program/print.rs"]
mod print;
#[path = "../program/accept_errors.rs"]
mod accept_errors;
#[path = "../program/signals.rs"]
mod signals;

mod drive;
mod model;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use clap::Parser;
use futures::{Stream, StreamExt, stream};
use hangup::MonitoredListener;
use hangup::axum::Peer;
use hangup::http::{ProducerStream, producer};
use model::{Answer, Model};
use signals::Signals;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Computes the tokens of an answer and shows them on a page. When the reader closes the tab, the
/// computation stops within one token.
///
/// Prints one line for each answer: the client, how many tokens were computed, why it ended, how many tokens were
/// computed after the client had left, and the time spent.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The length of an answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 300)]
    tokens: u32,
    /// The milliseconds that a token takes to compute
    #[arg(long, value_name = "MS", default_value_t = 10)]
    work: u64,
    /// Compute every answer to its end, like a server that does not notice when its client leaves
    #[arg(long)]
    naive: bool,
    /// Play the client too: ask both kinds of server, read ten tokens, leave, and compare
    #[arg(long, conflicts_with_all = ["listen", "naive"])]
    drive: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.drive {
        return drive::drive(args).await;
    }
    let mut signals = Signals::new()?;
    let (address, mut answers) = serve(args).await?;
    say!("listening on http://{address}/ (Ctrl-C ends it)");
    loop {
        tokio::select! {
            answer = answers.recv() => say!("{}", answer.context("the server has ended")?),
            // What still runs ends with the runtime.
            () = signals.next() => return Ok(()),
        }
    }
}

/// Starts a server. Gives its address, and each answer when it has ended.
async fn serve(args: Args) -> anyhow::Result<(SocketAddr, UnboundedReceiver<Answer>)> {
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .on_accept_error(accept_errors::print_changes());
    let address = listener.local_addr()?;
    let (ended, answers) = unbounded_channel();
    let model = Model::new(args.tokens, Duration::from_millis(args.work), ended);
    let tokens = if args.naive { get(naive) } else { get(tokens) };
    let app = Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/tokens", tokens)
        .with_state(model);
    // Behind a proxy, the answers of many readers may share a connection.
    tokio::spawn(hangup::serve::serve(listener, app).h2c(true).into_future());
    Ok((address, answers))
}

/// With a [`producer`]: its `send` waits until the client reads, and fails when the client has left.
async fn tokens(State(model): State<Model>, peer: Peer) -> impl IntoResponse {
    let (producer, tokens): (_, ProducerStream<&str>) = producer(&peer.monitor, 1);
    tokio::spawn(model.answer(peer, producer));
    events(tokens)
}

/// With a channel: it takes every token, whether the client reads or not.
async fn naive(State(model): State<Model>, peer: Peer) -> impl IntoResponse {
    let (sender, mut tokens) = unbounded_channel();
    tokio::spawn(model.answer_naively(peer, sender));
    events(stream::poll_fn(move |cx| tokens.poll_recv(cx)))
}

/// Without an event at the end the browser would take it for a lost connection, and ask again.
fn events(tokens: impl Stream<Item = &'static str> + Send + 'static) -> impl IntoResponse {
    let tokens = tokens.map(|token| match token {
        model::END => Event::default().event("end").data("end"),
        token => Event::default().data(token),
    });
    Sse::new(tokens.map(Ok::<_, Infallible>))
}
