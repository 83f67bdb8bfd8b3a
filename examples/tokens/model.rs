//! The model: computes tokens one by one, and counts what becomes of them.

use hangup::axum::Peer;
use hangup::http::Producer;
use std::fmt;
use std::hint::spin_loop;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

/// The last item of an answer that is complete.
pub(crate) const END: &str = "";

const WORDS: [&str; 12] = [
    "a", "model", "that", "knows", "when", "nobody", "reads", "its", "answer", "can", "stop", "now",
];

/// How long a client may read nothing before its answer is given up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Model {
    tokens: u32,
    work: Duration,
    /// A token needs a processor, and an answer that waits for its reader needs none.
    processors: Arc<Semaphore>,
    ended: UnboundedSender<Answer>,
}

/// An answer that has ended.
pub(crate) struct Answer {
    client: SocketAddr,
    pub(crate) made: u32,
    /// Made after the client had left.
    pub(crate) for_nobody: u32,
    pub(crate) computed: Duration,
    why: String,
}

impl Model {
    pub(crate) fn new(tokens: u32, work: Duration, ended: UnboundedSender<Answer>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            tokens,
            work,
            processors: Arc::new(Semaphore::new(processors)),
            ended,
        }
    }

    /// Stops when the client leaves, and when it reads nothing for a while.
    pub(crate) async fn answer(self, peer: Peer, mut producer: Producer<&'static str>) {
        let mut answer = Answer::begin(&peer);
        answer.why = loop {
            if let Some(reason) = producer.gone_reason() {
                break reason.to_string();
            }
            let item = match answer.made {
                made if made == self.tokens => END,
                _ => self.token(&mut answer).await,
            };
            answer.for_nobody += u32::from(producer.is_gone());
            match timeout(PATIENCE, producer.send(item)).await {
                Ok(Ok(())) if item == END => break "complete".to_owned(),
                Ok(Ok(())) => {}
                Ok(Err(error)) => break error.reason().to_string(),
                Err(_) => break format!("not read for {} s", PATIENCE.as_secs()),
            }
        };
        self.end(answer);
    }

    /// Computes the whole answer.
    pub(crate) async fn answer_naively(self, peer: Peer, sender: UnboundedSender<&'static str>) {
        let mut answer = Answer::begin(&peer);
        while answer.made < self.tokens {
            let token = self.token(&mut answer).await;
            answer.for_nobody += u32::from(peer.monitor.is_closed());
            let _ = sender.send(token);
        }
        let _ = sender.send(END);
        answer.why = "complete".to_owned();
        self.end(answer);
    }

    /// Computes the next token: a processor is busy with it all the time.
    async fn token(&self, answer: &mut Answer) -> &'static str {
        // The semaphore is never closed.
        let _processor = self.processors.acquire().await;
        let (begun, work) = (Instant::now(), self.work);
        let computing = tokio::task::spawn_blocking(move || {
            while begun.elapsed() < work {
                spin_loop();
            }
        });
        // It does not panic.
        let _ = computing.await;
        answer.computed += begun.elapsed();
        answer.made += 1;
        WORDS[answer.made as usize % WORDS.len()]
    }

    fn end(&self, answer: Answer) {
        // The receiver is gone if the program ends.
        let _ = self.ended.send(answer);
    }
}

impl Answer {
    fn begin(peer: &Peer) -> Self {
        Self {
            client: peer.address,
            made: 0,
            for_nobody: 0,
            computed: Duration::ZERO,
            why: String::new(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} tokens made, {}; {} made after the client had left, {:.2} s of computing",
            self.client,
            self.made,
            self.why,
            self.for_nobody,
            self.computed.as_secs_f64()
        )
    }
}
