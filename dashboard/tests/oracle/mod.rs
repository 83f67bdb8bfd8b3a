//! Requests to the dashboard's routes, and requests that it shows.
//!
//! The router is called without a connection. Checked:
//!
//! * The status is one of those that the routes have, and every response carries the fields that keep other sites out.
//! * Without the token nothing is shown, whatever the request looks like. The token is in no body and in no address.
//! * What a client asks for is text on the page and never a part of it: the page has the same elements and attributes as
//!   after a harmless request. In a log it is one line, without control characters.

use arbitrary::Arbitrary;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use hangup::MonitoredStream;
use hangup::axum::Peer;
use hangup_dashboard::{Dashboard, Token, record};
use http_body::Body as _;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

/// Requests that the dashboard shows, and requests to it.
#[derive(Arbitrary, Debug)]
pub(crate) struct Input {
    /// Below another router, at `/a/dashboard`.
    is_nested: bool,
    is_protected: bool,
    shown: Vec<Shown>,
    asks: Vec<Ask>,
}

/// A request to the application, which the dashboard records.
#[derive(Arbitrary, Debug)]
struct Shown {
    method: Vec<u8>,
    target: Vec<u8>,
    /// The address of the client, and whether it stays connected.
    client: u8,
    stays: bool,
    /// Whether the response is read to its end.
    is_read: bool,
}

/// A request to the dashboard.
#[derive(Arbitrary, Debug)]
struct Ask {
    verb: Verb,
    path: Vec<Piece>,
    authorization: Option<Secret>,
    cookies: Vec<Secret>,
}

#[derive(Arbitrary, Debug)]
enum Verb {
    Get,
    Head,
    Other(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Piece {
    Route(u8),
    Slash,
    /// `?token=`, and a secret.
    Link(Secret),
    Text(String),
    Byte(u8),
}

#[derive(Arbitrary, Debug)]
enum Secret {
    Right,
    Scheme(u8),
    Name,
    Cut(u8),
    Bytes(Vec<u8>),
    Many(Vec<Self>),
}

const TOKEN: &str = "correct-horse-battery-staple";
const MOUNT: &str = "/a/dashboard";
const ROUTES: [&str; 8] = [
    "/",
    "/events",
    "/metrics",
    "/page.css",
    "/page.js",
    "/icon.svg",
    "/none",
    "/a/dashboard",
];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

impl Secret {
    fn push(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Right => bytes.extend(TOKEN.bytes()),
            Self::Scheme(index) => {
                let schemes = ["Bearer ", "bearer ", "Basic ", "; ", "="];
                bytes.extend(schemes[usize::from(*index) % schemes.len()].bytes());
            }
            Self::Name => bytes.extend(b"hangup_dashboard="),
            Self::Cut(length) => {
                bytes.extend(TOKEN.bytes().take(usize::from(*length) % TOKEN.len()));
            }
            Self::Bytes(other) => bytes.extend(other),
            Self::Many(parts) => parts.iter().take(4).for_each(|part| part.push(bytes)),
        }
    }

    fn value(&self) -> Option<HeaderValue> {
        let mut bytes = Vec::new();
        self.push(&mut bytes);
        HeaderValue::from_bytes(&bytes).ok()
    }
}

impl Ask {
    fn request(&self, is_nested: bool) -> Option<Request<Body>> {
        let mut uri = if is_nested { MOUNT } else { "" }.as_bytes().to_vec();
        for piece in self.path.iter().take(8) {
            match piece {
                Piece::Route(index) => {
                    uri.extend(ROUTES[usize::from(*index) % ROUTES.len()].bytes());
                }
                Piece::Slash => uri.push(b'/'),
                Piece::Link(secret) => {
                    uri.extend(b"?token=");
                    secret.push(&mut uri);
                }
                Piece::Text(text) => uri.extend(text.bytes()),
                Piece::Byte(byte) => uri.extend(format!("%{byte:02x}").bytes()),
            }
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::try_from(uri).ok()?;
        *request.method_mut() = match &self.verb {
            Verb::Get => Method::GET,
            Verb::Head => Method::HEAD,
            Verb::Other(name) => Method::from_bytes(name).ok()?,
        };
        let headers = request.headers_mut();
        if let Some(value) = self.authorization.as_ref().and_then(Secret::value) {
            headers.insert(AUTHORIZATION, value);
        }
        for value in self.cookies.iter().take(3).filter_map(Secret::value) {
            headers.append(COOKIE, value);
        }
        Some(request)
    }
}

/// Whether a request contains the token somewhere: without it nothing may be shown.
fn has_token(request: &Request<Body>) -> bool {
    let contains = |bytes: &[u8]| {
        bytes
            .windows(TOKEN.len())
            .any(|part| part == TOKEN.as_bytes())
    };
    let mut fields = request.headers().values();
    fields.any(|value| contains(value.as_bytes()))
}

async fn call(mut router: Router, request: Request<Body>) -> Response<Body> {
    poll_fn(|cx| Service::<Request<Body>>::poll_ready(&mut router, cx))
        .await
        .unwrap();
    router.call(request).await.unwrap()
}

/// The body, and of a stream that does not end the first part.
async fn body(response: Response<Body>, is_stream: bool) -> String {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend(frame.unwrap().into_data().unwrap());
        if is_stream {
            break;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// How often the characters come that begin and end elements and attributes.
fn markup(page: &str) -> [usize; 4] {
    ['<', '>', '"', '\''].map(|char| page.matches(char).count())
}

/// A dashboard that has recorded requests, or the harmless ones in their place.
async fn recorded(shown: &[Shown], is_harmless: bool) -> (Dashboard, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let dashboard = Dashboard::builder()
        .title("<Files> & \"more\"")
        .token(Token::new(TOKEN).unwrap())
        .on_ended(move |ended| log.lock().unwrap().push(ended.to_string()))
        .build();
    let app = Router::new()
        .fallback(async || "hello")
        .layer(from_fn_with_state(dashboard.clone(), record));
    let mut connections = Vec::new();
    for shown in shown.iter().take(6) {
        let method = Method::from_bytes(&shown.method).unwrap_or(Method::GET);
        let target = Uri::try_from(shown.target.as_slice()).ok();
        let harmless = Uri::from_static("/");
        let target = target.filter(|_| !is_harmless).unwrap_or(harmless);
        let stream = MonitoredStream::unwatched(tokio::io::empty());
        let address = SocketAddr::from(([192, 0, 2, shown.client], 50_000));
        let mut request = Request::new(Body::empty());
        let is_bodiless = method == Method::HEAD || method == Method::CONNECT;
        *request.method_mut() = method;
        *request.uri_mut() = target;
        let peer = Peer::new(stream.monitor(), address);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = call(app.clone(), request).await;
        if shown.is_read && !is_bodiless {
            assert_eq!(body(response, false).await, "hello");
        }
        if shown.stays {
            connections.push(stream);
        }
    }
    drop(connections);
    let lines = lines.lock().unwrap().clone();
    (dashboard, lines)
}

async fn page(dashboard: &Dashboard) -> String {
    let request = Request::new(Body::empty());
    let response = call(dashboard.unprotected_router(), request).await;
    assert_eq!(response.status(), StatusCode::OK);
    body(response, false).await
}

async fn check(input: &Input, ask: &Ask, dashboard: &Dashboard) {
    let Some(request) = ask.request(input.is_nested) else {
        return;
    };
    let router = match input.is_protected {
        true => dashboard.router(),
        false => dashboard.unprotected_router(),
    };
    let router = match input.is_nested {
        true => Router::new().nest_service(MOUNT, router),
        false => router,
    };
    let presents = has_token(&request);
    let uri = request.uri().clone();
    let response = call(router, request).await;
    let status = response.status();
    if input.is_nested && !response.headers().contains_key(CACHE_CONTROL) {
        // The outer router's: the path is not below the mount.
        assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
        return;
    }
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
    match status {
        StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            assert!(
                presents || !input.is_protected,
                "{status} for {uri} without the token"
            );
        }
        StatusCode::SEE_OTHER => {
            assert!(
                input.is_protected && uri.query().is_some_and(|query| query.contains("token="))
            );
            let location = response.headers()[LOCATION].to_str().unwrap();
            assert!(
                !location.contains(TOKEN) || uri.path().contains(TOKEN),
                "{location}"
            );
        }
        StatusCode::UNAUTHORIZED => assert!(input.is_protected),
        // A query that is none.
        StatusCode::BAD_REQUEST => assert!(input.is_protected && uri.query().is_some()),
        status => panic!("{status} for {uri}"),
    }
    let is_stream = uri.path().ends_with("/events");
    let body = body(response, is_stream).await;
    if !uri.path().contains(TOKEN) {
        assert!(!body.contains(TOKEN), "{uri} shows the token");
    }
}

/// Asks, and checks the responses.
pub(crate) fn run(input: &Input) {
    RUNTIME.block_on(async {
        let (dashboard, lines) = recorded(&input.shown, false).await;
        let (harmless, _) = recorded(&input.shown, true).await;
        assert_eq!(
            markup(&page(&dashboard).await),
            markup(&page(&harmless).await)
        );
        for line in lines {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        for ask in input.asks.iter().take(4) {
            check(input, ask, &dashboard).await;
        }
        dashboard.drain();
    });
}
