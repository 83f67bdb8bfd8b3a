//! The page at `/_hangup`: what is open, what has ended, and why.
//!
//! It works without its script, as it is at the moment. With it, it is told what is new by server-sent
//! events.

pub(crate) mod access;
#[path = "page/ended.rs"]
mod ended;
mod feed;
#[path = "page/open.rs"]
mod open;
#[path = "page/pace.rs"]
mod pace;
#[path = "page/mod.rs"]
mod page;
#[cfg(feature = "metrics")]
mod prometheus;
#[path = "page/table.rs"]
mod table;
#[path = "page/text.rs"]
mod words;

use crate::board::Board;
use access::{Access, check};
use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use feed::Feed;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

pub(crate) const PATH: &str = "/_hangup";

/// What is sent with everything: nothing comes from elsewhere, nothing goes elsewhere, nothing stays.
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

#[derive(Clone)]
pub(crate) struct Dashboard {
    board: Arc<Board>,
    feed: Arc<Feed>,
    access: Access,
    #[cfg(feature = "metrics")]
    prometheus: prometheus::Prometheus,
}

impl Dashboard {
    /// Made before the first connection is taken.
    pub(crate) fn new(access: Access) -> Self {
        let board = Arc::new(Board::new());
        Self {
            feed: Arc::new(Feed::new(board.clone())),
            board,
            access,
            #[cfg(feature = "metrics")]
            prometheus: prometheus::Prometheus::install(),
        }
    }

    /// Where the connections and the responses are to be entered.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Tells where to look, of a server that listens on `address`.
    pub(crate) fn invitation(&self, mut address: SocketAddr) -> String {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let whom = match self.access {
            Access::ThisHost => "for this host only",
            Access::Anybody => "for anybody",
        };
        format!("dashboard on http://{address}{PATH} ({whom})")
    }

    /// Nothing more to see when the last download has ended.
    pub(crate) fn drain(&self) {
        self.feed.drain();
    }

    pub(crate) fn into_router(self) -> Router {
        let access = self.access;
        let css = asset("text/css", include_str!("page/page.css"));
        let script = asset("text/javascript", include_str!("page/page.js"));
        let icon = asset("image/svg+xml", include_str!("page/icon.svg"));
        let router = Router::new()
            .route(PATH, get(page))
            .route("/_hangup/", get(page))
            .route("/_hangup/events", get(events))
            .route("/_hangup/page.css", get(css))
            .route("/_hangup/page.js", get(script))
            .route("/_hangup/icon.svg", get(icon));
        #[cfg(feature = "metrics")]
        let router = router.route("/_hangup/metrics", get(metrics));
        router
            .with_state(self)
            .layer(from_fn_with_state(access, check))
            .layer(map_response(guard))
    }
}

async fn guard(response: Response) -> impl IntoResponse {
    (HEADERS, response)
}

async fn page(State(dashboard): State<Dashboard>) -> Html<String> {
    Html(page::page(&dashboard.board.view()))
}

async fn events(
    State(dashboard): State<Dashboard>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let snapshots = WatchStream::new(dashboard.feed.subscribe());
    Sse::new(snapshots.map(|snapshot| Ok(Event::default().data(&*snapshot))))
}

#[cfg(feature = "metrics")]
async fn metrics(State(dashboard): State<Dashboard>) -> Response {
    dashboard.prometheus.answer()
}

fn asset(
    kind: &'static str,
    text: &'static str,
) -> impl Fn() -> std::future::Ready<([(HeaderName, &'static str); 1], &'static str)> + Clone {
    move || std::future::ready(([(CONTENT_TYPE, kind)], text))
}
