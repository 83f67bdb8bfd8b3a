//! poem: monitored connections, and a report that is not finished for a client that has left.
//!
//! ```sh
//! cargo run -p hangup-cookbook --bin poem
//! curl http://127.0.0.1:8080/
//! ```
//!
//! poem serves any stream, and tells its handlers nothing of it but the addresses (3.1). So each connection has a server of
//! its own, whose data is the monitor.
//!
//! Where a client leaves with nothing unread behind it, hyper, on which poem is built, may drop the handler first. Then the code
//! after the work does not run. The monitor also sees the client that leaves behind a second request.

use hangup::{Monitor, MonitoredListener, MonitoredStream};
use poem::error::InternalServerError;
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{Data, LocalAddr, RemoteAddr};
use poem::{EndpointExt, Route, Server, get, handler};
use std::sync::Arc;
use std::time::Duration;
use std::{env, future, io};
use tokio::net::TcpStream;

#[handler]
async fn report(client: &RemoteAddr, monitor: Data<&Monitor>) -> poem::Result<&'static str> {
    println!("{client}: at work");
    let work = tokio::time::sleep(Duration::from_secs(60));
    if let Err(reason) = monitor.run_until_closed(work).await {
        println!("{client}: stopped: {reason}");
        return Err(InternalServerError(reason));
    }
    Ok("the report\n")
}

/// Accepts one connection.
struct Once(Option<MonitoredStream<TcpStream>>);

impl Acceptor for Once {
    type Io = MonitoredStream<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        Vec::new()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let Some(stream) = self.0.take() else {
            return future::pending().await;
        };
        let local = LocalAddr(stream.local_addr()?.into());
        let remote = RemoteAddr(stream.peer_addr()?.into());
        Ok((stream, local, remote, Scheme::HTTP))
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let routes = Arc::new(Route::new().at("/", get(report)));
    loop {
        let (stream, client) = listener.accept_retrying().await;
        let (monitor, closed) = (stream.monitor(), stream.closed());
        let over = async move { println!("{client}: gone: {}", closed.await) };
        let server = Server::new_with_acceptor(Once(Some(stream)));
        tokio::spawn(server.run_with_graceful_shutdown(routes.clone().data(monitor), over, None));
    }
}
