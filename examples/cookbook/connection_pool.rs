//! A pooled HTTP client that knows which of its idle connections the server has closed.
//!
//! ```sh
//! cargo run --features hyper-client --example cookbook_connection_pool -- http://127.0.0.1:8080/
//! ```
//!
//! A request on a connection that the server has just closed fails, and may not be repeated if it is a POST. The pool drops
//! such a connection when it learns of the close; the monitor tells when and why.

use bytes::Bytes;
use hangup::{Monitor, MonitoredStream};
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{env, error::Error, io};
use tokio::net::TcpStream;
use tower::service_fn;

/// A connection of the pool. It needs the feature `hyper-client`, and no wrapper.
async fn connect(uri: Uri) -> io::Result<TokioIo<MonitoredStream<TcpStream>>> {
    let host = uri.host().unwrap_or("127.0.0.1");
    let port = uri.port_u16().unwrap_or(80);
    let stream = MonitoredStream::<TcpStream>::connect((host, port)).await?;
    println!("connected");
    Ok(TokioIo::new(stream))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args()
        .nth(1)
        .unwrap_or("http://127.0.0.1:8080/".into());
    let url: Uri = url.parse()?;
    let connector = service_fn(|uri| Box::pin(connect(uri)));
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    for _ in 0..2 {
        let response = client.get(url.clone()).await?;
        // Each response carries the monitor of its connection.
        let monitor = response.extensions().get::<Monitor>().cloned();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{} bytes", body.len());
        if let Some(monitor) = monitor {
            // A program would go on with other work: the pool needs no help.
            println!("stopped: {}", monitor.closed().await);
        }
    }
    Ok(())
}
