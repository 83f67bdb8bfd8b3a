//! What is served: the files of the root, each response watched and accounted for.

use crate::body::Watched;
use crate::if_range;
use crate::listener::Peer;
use crate::listing::listing;
use crate::root::Root;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use std::io;
use std::path::Path;
use tower_http::services::ServeDir;

pub(crate) type Files = ServeDir<Router, Root>;

#[derive(Clone)]
pub(crate) struct Site {
    files: Files,
}

impl Site {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = Root::open(root)?;
        let listing = Router::new().fallback(listing).with_state(root.clone());
        Ok(Self {
            files: ServeDir::with_backend(".", root).fallback(listing),
        })
    }

    pub(crate) fn into_router(self) -> Router {
        Router::new().fallback(answer).with_state(self)
    }
}

async fn answer(
    State(mut site): State<Site>,
    ConnectInfo(Peer { ledger }): ConnectInfo<Peer>,
    mut request: Request,
) -> Response {
    let turn = ledger.turn().await;
    let method = request.method().clone();
    let what = format!("{method} {}", request.uri());
    if_range::apply(&site.files, &mut request).await;
    let response = match site.files.try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    };
    let bytes = body_length(&method, &response);
    ledger.begin(
        turn,
        format!("{what} {}", response.status().as_u16()),
        bytes,
    );
    response.map(|body| Body::new(Watched::new(body, ledger)))
}

/// The bytes that the body will have.
fn body_length(method: &Method, response: &Response) -> u64 {
    if method == Method::HEAD {
        return 0;
    }
    let told = response.headers().get(CONTENT_LENGTH);
    told.and_then(|length| length.to_str().ok()?.parse().ok())
        .or_else(|| response.body().size_hint().exact())
        .unwrap_or(0)
}
