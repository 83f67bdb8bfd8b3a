//! warp: its filters over monitored connections, and server-sent events that end with their client.
//!
//! ```sh
//! cargo run -p hangup-cookbook --bin warp
//! curl --no-buffer http://127.0.0.1:8080/events
//! ```
//!
//! `warp::serve` accepts tokio's listeners only: the trait for others is private (0.4). So hyper serves the filters, and
//! each request carries the monitor of its connection.

use hangup::http::producer;
use hangup::{Monitor, MonitoredListener};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::time::Duration;
use std::{env, io};
use warp::sse::Event;
use warp::{Filter, Reply};

fn events(monitor: Monitor) -> impl Reply {
    let (mut producer, events) = producer(&monitor, 1);
    tokio::spawn(async move {
        for number in 0.. {
            let event = Event::default().data(number.to_string());
            if let Err(error) = producer.send(Ok::<_, Infallible>(event)).await {
                println!("stopped: {}, {number} events sent", error.reason());
                return;
            }
            // A pause that nobody waits for is cut short.
            let pause = tokio::time::sleep(Duration::from_secs(1));
            let _ = monitor.run_until_closed(pause).await;
        }
    });
    warp::sse::reply(events)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let monitor = warp::ext::get::<Monitor>();
    let filters = warp::path!("events").and(monitor).map(events);
    let filters = TowerToHyperService::new(warp::service(filters));
    loop {
        let (stream, _) = listener.accept_retrying().await;
        let monitor = stream.monitor();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(monitor.clone());
            filters.call(request)
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
