//! The routes of the dashboard.

use crate::Dashboard;
use crate::page::{page, page_links};
use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::map_response;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, Response};
use axum::routing::get;
use std::convert::Infallible;
use std::future::{Ready, ready};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

/// Sent with every response: the page loads nothing from other sites, no other site may read or frame it, nothing is
/// cached, and no referrer carries the token.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

pub(crate) fn router(dashboard: Dashboard) -> Router {
    let css = asset("text/css", include_str!("page/page.css"));
    let script = asset("text/javascript", include_str!("page/page.js"));
    let icon = asset("image/svg+xml", include_str!("page/icon.svg"));
    Router::new()
        .route("/", get(index))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/page.css", get(css))
        .route("/page.js", get(script))
        .route("/icon.svg", get(icon))
        .with_state(dashboard)
}

/// Adds the headers to every response of `router`, including refusals.
pub(crate) fn guarded(router: Router) -> Router {
    router.layer(map_response(|response: Response| {
        ready((HEADERS, response))
    }))
}

async fn index(State(dashboard): State<Dashboard>, OriginalUri(uri): OriginalUri) -> Html<String> {
    let links = page_links(uri.path());
    Html(page(dashboard.title(), &links, &dashboard.board().view()))
}

async fn events(
    State(dashboard): State<Dashboard>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let snapshots = WatchStream::new(dashboard.feed().subscribe());
    Sse::new(snapshots.map(|snapshot| Ok(Event::default().data(&*snapshot))))
}

async fn metrics(State(dashboard): State<Dashboard>) -> Response {
    dashboard.board().metrics.answer()
}

fn asset(
    kind: &'static str,
    text: &'static str,
) -> impl Fn() -> Ready<([(HeaderName, &'static str); 1], &'static str)> + Clone {
    move || ready(([(CONTENT_TYPE, kind)], text))
}
