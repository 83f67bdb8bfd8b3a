//! What is served: the files of the root, each response watched and accounted for.

use crate::body::Watched;
use crate::dashboard::Dashboard;
use crate::exchange::Exchange;
use crate::if_range;
use crate::ledger::Audience;
use crate::listener::Peer;
use crate::listing::listing;
use crate::root::Root;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
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

    pub(crate) fn into_router(self, dashboard: Option<Dashboard>) -> Router {
        let files = Router::new()
            .fallback(serve)
            .with_state(self)
            .layer(from_fn_with_state(Audience::Client, account));
        let Some(dashboard) = dashboard else {
            return files;
        };
        let dashboard = dashboard
            .into_router()
            .layer(from_fn_with_state(Audience::Onlooker, account));
        files.merge(dashboard)
    }
}

async fn serve(State(mut site): State<Site>, mut request: Request) -> Response {
    if_range::apply(&site.files, &mut request).await;
    match site.files.try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Watches the response, and accounts for it. Whoever is not let in to the dashboard is reported too.
async fn account(
    State(audience): State<Audience>,
    ConnectInfo(Peer { ledger }): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let turn = ledger.turn().await;
    let method = request.method().clone();
    let target = request.uri().clone();
    let response = next.run(request).await;
    let bytes = body_length(&method, &response);
    let exchange = Exchange {
        method,
        target,
        status: response.status(),
    };
    let audience = match exchange.status {
        StatusCode::FORBIDDEN => Audience::Client,
        _ => audience,
    };
    ledger.begin(turn, exchange, audience, bytes);
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
