//! What the server has: files, an endless response, and a refusal.

use super::reports::Reports;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use hangup::Monitor;
use hangup::http::producer;
use hangup::serve::file;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

/// The files are named by their lengths. The longest does not fit into the buffers of a connection.
pub(crate) const FILES: [usize; 5] = [0, 1, 5_000, 300_000, 8_000_000];

/// What all files begin with.
pub(crate) static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..FILES[FILES.len() - 1])
        .map(|at| (at % 251) as u8)
        .collect()
});

/// The length of a line of the endless response.
pub(crate) const LINE: usize = 1000;

/// The line of this number.
pub(crate) fn line(number: u64) -> String {
    format!("{number:>width$}\n", width = LINE - 1)
}

/// The header field with the client's number.
pub(crate) const CLIENT: &str = "soak-client";

/// The files in a folder of their own, and who is told about the clients.
#[derive(Clone)]
pub(crate) struct Pages {
    folder: Arc<TempDir>,
    pub(crate) reports: Reports,
}

impl Pages {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        for length in FILES {
            std::fs::write(folder.path().join(length.to_string()), &CONTENT[..length])?;
        }
        Ok(Self {
            folder: Arc::new(folder),
            reports: Reports::default(),
        })
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/file/{length}", get(one_file))
            .route("/lines", get(lines))
            .route("/upload", post(async || StatusCode::PAYLOAD_TOO_LARGE))
            .layer(from_fn_with_state(self.clone(), watch))
            .with_state(self.clone())
    }
}

fn client(request: &Request) -> Option<u64> {
    let number = request.headers().get(CLIENT)?;
    number.to_str().ok()?.parse().ok()
}

/// Makes the end of the connection known to its client.
async fn watch(
    State(pages): State<Pages>,
    monitor: Monitor,
    request: Request,
    next: Next,
) -> Response {
    if let Some(number) = client(&request) {
        pages.reports.watch(number, &monitor);
    }
    next.run(request).await
}

async fn one_file(
    State(pages): State<Pages>,
    Path(length): Path<PathBuf>,
    request: Request,
) -> Response {
    let path = pages.folder.path().join(length);
    file(&request, path).await.map(Body::new)
}

async fn lines(State(pages): State<Pages>, monitor: Monitor, request: Request) -> Response {
    let Some(number) = client(&request) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (mut producer, lines) = producer(&monitor, 1);
    tokio::spawn(async move {
        let mut lines = 0;
        let gone = loop {
            let line = Ok::<_, Infallible>(Bytes::from(line(lines)));
            if let Err(error) = producer.send(line).await {
                break error.reason().clone();
            }
            lines += 1;
        };
        pages.reports.producer_gone(number, gone);
    });
    Body::from_stream(lines).into_response()
}
