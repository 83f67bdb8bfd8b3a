//! The server: requests, files, and limits.

use crate::Case;
use crate::support::soon;
use axum::Router;
use axum::routing::get;
use hangup::MonitoredListener;
use hangup::serve::{ServeFolder, Summary, file, serve};
use heapdelta::{LeakError, LeakTest, Report};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) const CASES: &[Case] = &[
    ("serve_a_request", serve_a_request),
    ("serve_a_file", serve_a_file),
    ("serve_a_client_that_leaves", serve_a_client_that_leaves),
    ("serve_and_shut_down", serve_and_shut_down),
];

const LONG: Duration = Duration::from_secs(60);

/// A server, until it is dropped.
struct Serving {
    address: SocketAddr,
    server: JoinHandle<io::Result<Summary>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serving() -> Serving {
    let folder = ServeFolder::open(".")
        .unwrap()
        .index(PathBuf::from("Cargo.toml"))
        .precompressed(false);
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route(
            "/never",
            get(async || std::future::pending::<&'static str>().await),
        )
        .route(
            "/file",
            get(async |request: axum::extract::Request| {
                file(&request, PathBuf::from("Cargo.toml")).await
            }),
        )
        .fallback_service(folder);
    let listener = MonitoredListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .nodelay(true);
    let address = listener.local_addr().unwrap();
    let server = serve(listener, router)
        .head_timeout(LONG)
        .keep_alive_timeout(LONG)
        .lingering_time(LONG)
        .max_connections(64)
        .max_connections_per_address(64)
        .max_requests(64)
        .max_requests_per_address(64)
        .max_requests_per_connection(64)
        .max_control_frames(1000)
        .max_head_size(1 << 16)
        .max_headers(100)
        .max_uri_length(1 << 10)
        .buffer_size(1 << 16)
        .nodelay(true)
        .h2c(true)
        .dead_peer_timeout(LONG)
        .on_limit(|_| ());
    Serving {
        address,
        server: tokio::spawn(server.into_future()),
    }
}

/// The response to a GET, which closes the connection.
async fn response(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    soon("the response", client.read_to_end(&mut response))
        .await
        .unwrap();
    response
}

fn serve_a_request(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(serving, async |serving| {
        assert!(
            response(serving.address, "/hello")
                .await
                .ends_with(b"hello")
        );
    })
}

fn serve_a_file(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut of_the_folder = false;
    test.run_async_with(serving, async |serving| {
        of_the_folder = !of_the_folder;
        let path = if of_the_folder {
            "/Cargo.toml"
        } else {
            "/file"
        };
        assert!(response(serving.address, path).await.len() > 1000);
    })
}

fn serve_a_client_that_leaves(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(serving, async |serving| {
        let mut client = TcpStream::connect(serving.address).await.unwrap();
        let request = b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.write_all(request).await.unwrap();
    })
}

fn serve_and_shut_down(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.times(20).run_async(async || {
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/hello", get(async || "hello"));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = serve(listener, router)
            .http1_only()
            .shutdown_timeout(LONG)
            .graceful_shutdown(async { drop(stopped.await) });
        let server = tokio::spawn(server.into_future());
        response(address, "/hello").await;
        drop(stop);
        let summary = soon("the end", server).await.unwrap().unwrap();
        let _ = (
            summary.connections(),
            summary.finished(),
            summary.aborted(),
            summary.limits(),
        );
    })
}
