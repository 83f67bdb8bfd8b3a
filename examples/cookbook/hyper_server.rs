//! hyper without a framework: a report that is not finished for a client that has left.
//!
//! ```sh
//! cargo run --example cookbook_hyper_server
//! curl --no-buffer http://127.0.0.1:8080/
//! ```

use hangup::{MonitoredListener, UntilClosedExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use std::{env, io};

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept_retrying().await;
        let monitor = stream.monitor();
        let service = service_fn(move |request: Request<Incoming>| {
            let monitor = monitor.clone();
            async move {
                println!("{client}: at work");
                let work = monitor.run_until_closed(report(request)).await;
                let answer = work.unwrap_or_else(|reason| {
                    println!("{client}: stopped: {reason}");
                    "nobody reads this".into()
                });
                let body = Full::new(Bytes::from(answer)).until_closed(&monitor);
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

/// Takes a minute, and does not read the body of its request, behind which hyper misses the end.
async fn report(request: Request<Incoming>) -> String {
    let _unread = request.into_body().boxed();
    tokio::time::sleep(Duration::from_secs(60)).await;
    "the report\n".into()
}
