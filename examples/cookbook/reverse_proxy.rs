//! A reverse proxy that gives up its request to the server behind it when the client leaves.
//!
//! ```sh
//! cargo run --example cookbook_reverse_proxy -- 127.0.0.1:8080 127.0.0.1:9000
//! curl http://127.0.0.1:8080/
//! ```
//!
//! Without it the server behind computes an answer that nobody reads.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, uri::Scheme};
use axum::response::{IntoResponse, Response};
use axum::{Router, http::uri::Authority};
use hangup::axum::Peer;
use hangup::{MonitoredListener, UntilClosedExt};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::{env, error::Error};

type Upstream = (Client<HttpConnector, Body>, Authority);

async fn forward(
    Peer {
        monitor, address, ..
    }: Peer,
    State((client, upstream)): State<Upstream>,
    mut request: Request,
) -> Response {
    let mut uri = request.uri().clone().into_parts();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(upstream));
    *request.uri_mut() = Uri::from_parts(uri).expect("it has all parts");
    // The drop of the future closes the connection to the server behind.
    match monitor.run_until_closed(client.request(request)).await {
        Ok(Ok(response)) => response.map(|body| Body::new(body.until_closed(&monitor))),
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(reason) => {
            println!("{address}: stopped: {reason}");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".into());
    let upstream = arguments.next().unwrap_or("127.0.0.1:9000".into());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let router = Router::new().fallback(forward);
    let router = router.with_state::<()>((client, upstream.parse()?));
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<Peer>();
    Ok(axum::serve(listener, service).await?)
}
