//! A graceful shutdown that streams without an end cannot hold up.
//!
//! ```sh
//! cargo run --example cookbook_graceful_shutdown
//! curl --no-buffer http://127.0.0.1:8080/
//! ```
//!
//! Ctrl-C: no new connections; five seconds for what is under way; then the rest is reset.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hangup::axum::Peer;
use hangup::http::producer;
use hangup::{Connections, MonitoredListener};
use std::convert::Infallible;
use std::time::Duration;
use std::{env, io};
use tokio_util::sync::CancellationToken;

/// A stream that ends only with its client.
async fn ticks(peer: Peer) -> Body {
    let (mut producer, ticks) = producer(&peer.monitor, 1);
    tokio::spawn(async move {
        while producer.send(Ok::<_, Infallible>("tick\n")).await.is_ok() {
            // A tick that nobody waits for is not slept for.
            let pause = tokio::time::sleep(Duration::from_secs(1));
            let _ = peer.monitor.run_until_closed(pause).await;
        }
        println!("{}: stopped: {}", peer.address, peer.monitor.closed().await);
    });
    Body::from_stream(ticks)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let connections = listener.connections();
    let router = Router::new().route("/", get(ticks));
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stop = CancellationToken::new();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let (served, ended) = tokio::join!(server.into_future(), end(connections, stop));
    served.and(ended)
}

async fn end(connections: Connections, stop: CancellationToken) -> io::Result<()> {
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    let open = connections.drain(Duration::from_secs(5)).await?;
    println!("{open} connections are reset");
    connections.abort_all();
    Ok(())
}
