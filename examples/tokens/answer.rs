//! One answer: a thread that makes its tokens, and the stream that HTTP takes them from.

use crate::model::Model;
use crate::options::Generator;
use futures::stream::{Stream, StreamExt};
use hangup::Monitor;
use hangup::axum::Peer;
use hangup::http::producer;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What became of an answer.
#[derive(Clone)]
pub(crate) struct Outcome {
    client: SocketAddr,
    pub(crate) made: u32,
    pub(crate) taken: u32,
    why: String,
    pub(crate) for_nobody: u32,
    pub(crate) computed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            made,
            taken,
            why,
            for_nobody,
            computed,
        } = self;
        let computed = computed.as_secs_f64();
        write!(
            f,
            "{client}: {made} tokens made, {taken} taken by HTTP, {why}; \
             {for_nobody} made for nobody, {computed:.2} s computed"
        )
    }
}

#[derive(Default)]
struct Counts {
    made: AtomicU32,
    taken: AtomicU32,
}

/// The tokens of an answer. The outcome is told when the thread has stopped.
pub(crate) fn answer(
    peer: Peer,
    generator: Generator,
    outcomes: UnboundedSender<Outcome>,
) -> impl Stream<Item = &'static str> {
    let counts = Arc::new(Counts::default());
    let stopwatch = tokio::spawn(made_by_the_close(peer.monitor.clone(), counts.clone()));
    let begin = match generator.naive {
        true => naively,
        false => carefully,
    };
    let (tokens, thread) = begin(peer.monitor, generator, counts.clone());
    let told = counts.clone();
    tokio::spawn(async move {
        let Ok((why, computed)) = thread.await else {
            return;
        };
        let made = counts.made.load(Relaxed);
        // If the connection is open, all was made for somebody.
        let before = match stopwatch.is_finished() {
            true => stopwatch.await.unwrap_or(made),
            false => made,
        };
        let outcome = Outcome {
            client: peer.address,
            made,
            taken: counts.taken.load(Relaxed),
            why,
            for_nobody: made - before,
            computed,
        };
        // The program is at its end.
        let _ = outcomes.send(outcome);
    });
    tokens.inspect(move |_| {
        told.taken.fetch_add(1, Relaxed);
    })
}

type Tokens = futures::stream::BoxStream<'static, &'static str>;
type Thread = tokio::task::JoinHandle<(String, Duration)>;

/// With a [`producer`]: the thread stops when nobody receives.
fn carefully(monitor: Monitor, generator: Generator, counts: Arc<Counts>) -> (Tokens, Thread) {
    let (mut producer, tokens) = producer(&monitor, 1);
    let thread = tokio::task::spawn_blocking(move || {
        let mut model = Model::new(generator.work);
        for _ in 0..generator.tokens {
            let token = model.next();
            counts.made.fetch_add(1, Relaxed);
            if let Err(error) = producer.blocking_send(token) {
                return (error.reason().to_string(), model.computed);
            }
        }
        ("complete".to_owned(), model.computed)
    });
    (tokens.boxed(), thread)
}

/// With a channel: the thread finishes its answer.
fn naively(_: Monitor, generator: Generator, counts: Arc<Counts>) -> (Tokens, Thread) {
    let (sender, mut tokens) = unbounded_channel();
    let thread = tokio::task::spawn_blocking(move || {
        let mut model = Model::new(generator.work);
        for _ in 0..generator.tokens {
            let token = model.next();
            counts.made.fetch_add(1, Relaxed);
            let _ = sender.send(token);
        }
        ("complete".to_owned(), model.computed)
    });
    let tokens = futures::stream::poll_fn(move |cx| tokens.poll_recv(cx));
    (tokens.boxed(), thread)
}

/// How many tokens had been made when the connection was over.
async fn made_by_the_close(monitor: Monitor, counts: Arc<Counts>) -> u32 {
    monitor.closed().await;
    counts.made.load(Relaxed)
}
