//! Server-sent events from a thread that computes or blocks.
//!
//! ```sh
//! cargo run --example cookbook_sse_thread
//! curl --no-buffer http://127.0.0.1:8080/events
//! ```
//!
//! The thread makes at most one event for a client that has left, also while it waits for room.

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use hangup::MonitoredListener;
use hangup::axum::Peer;
use hangup::http::{ProducerStream, producer};
use std::convert::Infallible;
use std::time::Duration;
use std::{env, io, thread};

async fn events(peer: Peer) -> Sse<ProducerStream<Result<Event, Infallible>>> {
    let (mut producer, events) = producer(&peer.monitor, 1);
    tokio::task::spawn_blocking(move || {
        for number in 0.. {
            // In the place of a model, or of a query.
            thread::park_timeout(Duration::from_millis(5));
            let event = Event::default().data(number.to_string());
            if let Err(error) = producer.blocking_send(Ok(event)) {
                let (client, reason) = (peer.address, error.reason());
                println!("{client}: stopped: {reason}, {number} events sent");
                return;
            }
        }
    });
    Sse::new(events)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let router = Router::new().route("/events", get(events));
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).await
}
