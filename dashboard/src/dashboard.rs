//! The handle that an application holds.

use crate::EndedResponse;
use crate::access::check;
use crate::board::{Board, OnEnded};
use crate::feed::Feed;
use crate::router::{guarded, router};
use crate::token::Token;
use axum::Router;
use axum::middleware::from_fn_with_state;
use hangup::Monitor;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The live state of a server's connections, and the pages that show it.
///
/// Cheap to clone: all clones show the same connections. The middleware [`record`](crate::record()) adds connections
/// together with their requests. [`track`](Self::track) adds connections without requests. The page shows the first 100
/// open connections and the last 50 ended responses. Memory grows with the number of open connections only.
///
/// ```
/// use hangup_dashboard::Dashboard;
///
/// let dashboard = Dashboard::new();
/// let app = axum::Router::<()>::new().nest_service("/_hangup", dashboard.router());
/// let link = dashboard.link("http://127.0.0.1:8080/_hangup");
/// assert!(link.starts_with("http://127.0.0.1:8080/_hangup?token="));
/// # drop(app);
/// ```
#[derive(Debug, Clone)]
pub struct Dashboard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    title: String,
    token: Token,
    board: Arc<Board>,
    feed: Arc<Feed>,
}

impl Dashboard {
    /// Creates a dashboard with a random token. [`builder`](Self::builder) has more settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder, to set the title, the token, or a callback.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The routes, for requests that present the [`token`](Self::token): `/` is the page, `/events` its stream of
    /// server-sent events, `/metrics` the counters for Prometheus, and the rest the page's files.
    ///
    /// Mount them anywhere with [`Router::nest_service`], or serve them on a listener of their own. All links are relative.
    /// A browser presents the token once, by the [`link`](Self::link), and then as a cookie; a program sends
    /// `Authorization: Bearer TOKEN` (for Prometheus: `authorization: { credentials: TOKEN }`). Every other
    /// request gets 401, even one from a proxy on this host.
    ///
    /// ```
    /// use axum::http::{Request, StatusCode};
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let dashboard = hangup_dashboard::Dashboard::new();
    /// let app = axum::Router::new().nest_service("/_hangup", dashboard.router());
    ///
    /// let request = Request::get("/_hangup/metrics").body(String::new()).unwrap();
    /// assert_eq!(app.clone().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    ///
    /// let bearer = format!("Bearer {}", dashboard.token().as_str());
    /// let request = Request::get("/_hangup/metrics").header("authorization", bearer);
    /// let response = app.oneshot(request.body(String::new()).unwrap()).await.unwrap();
    /// assert_eq!(response.status(), StatusCode::OK);
    /// # }
    /// ```
    pub fn router(&self) -> Router {
        let token = self.shared.token.clone();
        guarded(router(self.clone()).layer(from_fn_with_state(token, check)))
    }

    /// The same routes without the token: anyone who can connect sees the addresses and requests of all clients.
    ///
    /// Use it on a separate listener that only you can reach, or behind your own authentication. A loopback address alone
    /// does not protect it: a proxy on the same host forwards requests from everywhere, and a web page can make a browser
    /// on that host request it (DNS rebinding).
    ///
    /// ```
    /// use axum::http::{Request, StatusCode};
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let dashboard = hangup_dashboard::Dashboard::new();
    /// let request = Request::get("/").body(String::new()).unwrap();
    /// let response = dashboard.unprotected_router().oneshot(request).await.unwrap();
    /// assert_eq!(response.status(), StatusCode::OK);
    /// # }
    /// ```
    pub fn unprotected_router(&self) -> Router {
        guarded(router(self.clone()))
    }

    /// The token that opens [`router`](Self::router).
    pub fn token(&self) -> &Token {
        &self.shared.token
    }

    /// `url` with the token, for a person to open in a browser. The browser's address bar and history do not
    /// keep it.
    ///
    /// ```
    /// use hangup_dashboard::{Dashboard, Token};
    ///
    /// let token = Token::new("correct-horse-battery")?;
    /// let dashboard = Dashboard::builder().token(token).build();
    /// assert_eq!(
    ///     dashboard.link("https://files.example/_hangup"),
    ///     "https://files.example/_hangup?token=correct-horse-battery"
    /// );
    /// # Ok::<_, hangup_dashboard::TokenError>(())
    /// ```
    pub fn link(&self, url: &str) -> String {
        format!("{url}?token={}", self.shared.token.as_str())
    }

    /// Adds a connection, and removes it when it closes. For streams that do not use HTTP, and to show an HTTP connection
    /// before its first request.
    ///
    /// While it is open, a connection is identified by its peer's address: adding it again changes nothing.
    ///
    /// ```
    /// use axum::http::Request;
    /// use http_body_util::BodyExt;
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stream = hangup::MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let dashboard = hangup_dashboard::Dashboard::new();
    /// dashboard.track("192.0.2.1:50000".parse().unwrap(), &stream.monitor());
    ///
    /// let metrics = async || {
    ///     let request = Request::get("/metrics").body(String::new()).unwrap();
    ///     let response = dashboard.unprotected_router().oneshot(request).await.unwrap();
    ///     String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
    /// };
    /// assert!(metrics().await.contains("hangup_dashboard_connections_open 1"));
    /// drop(stream);
    /// assert!(metrics().await.contains("hangup_dashboard_connections_open 0"));
    /// # }
    /// ```
    pub fn track(&self, peer: SocketAddr, monitor: &Monitor) {
        self.shared.board.connection(peer, monitor);
    }

    /// Ends the event streams as soon as no recorded response is in progress, so that a graceful shutdown does not wait
    /// for a page that is still open in a browser.
    ///
    /// ```
    /// use axum::http::Request;
    /// use http_body_util::BodyExt;
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let dashboard = hangup_dashboard::Dashboard::new();
    /// let request = Request::get("/events").body(String::new()).unwrap();
    /// let response = dashboard.unprotected_router().oneshot(request).await.unwrap();
    /// dashboard.drain();
    /// let events = response.into_body().collect().await.unwrap(); // the stream ends
    /// assert!(events.to_bytes().starts_with(b"data: "));
    /// # }
    /// ```
    pub fn drain(&self) {
        self.shared.feed.drain();
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.shared.board
    }

    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.shared.feed
    }

    pub(crate) fn title(&self) -> &str {
        &self.shared.title
    }
}

impl Default for Dashboard {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a [`Dashboard`].
///
/// # Default
///
/// The title is `Connections`, the token is [random](Token::random), and nothing is called.
#[must_use = "a builder does nothing until `build`"]
#[derive(Default)]
pub struct Builder {
    title: Option<String>,
    token: Option<Token>,
    on_ended: Option<OnEnded>,
}

impl Builder {
    /// The heading of the page: which server it is.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// A token of your own, for instance one that stays the same after a restart.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Calls `on_ended` with each recorded response that has ended: for a log.
    ///
    /// It is called on the thread that ends the response, and must not block.
    pub fn on_ended(mut self, on_ended: impl Fn(&EndedResponse) + Send + Sync + 'static) -> Self {
        self.on_ended = Some(Box::new(on_ended));
        self
    }

    /// Makes the dashboard.
    pub fn build(self) -> Dashboard {
        let board = Arc::new(Board::new(self.on_ended));
        Dashboard {
            shared: Arc::new(Shared {
                title: self.title.unwrap_or_else(|| "Connections".to_owned()),
                token: self.token.unwrap_or_else(Token::random),
                feed: Arc::new(Feed::new(board.clone())),
                board,
            }),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("title", &self.title)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
