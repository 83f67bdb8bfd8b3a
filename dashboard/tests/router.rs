//! The routes, asked without a server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use hangup::axum::Peer;
use hangup_dashboard::{Dashboard, Token, record};
use http_body_util::BodyExt;
use tower::ServiceExt;

const ROUTES: [&str; 7] = [
    "",
    "/",
    "/events",
    "/metrics",
    "/page.css",
    "/page.js",
    "/none",
];

fn app(dashboard: &Dashboard) -> Router {
    Router::new()
        .route("/", get("the application"))
        .nest_service("/a/dashboard", dashboard.router())
}

async fn ask(app: &Router, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &axum::http::HeaderName) -> &'a str {
    response.headers().get(name).unwrap().to_str().unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn every_route_wants_the_token() {
    let dashboard = Dashboard::new();
    let app = app(&dashboard);
    let token = dashboard.token().as_str();
    let other = Token::random();
    let (right, wrong) = (
        format!("Bearer {token}"),
        format!("Bearer {}", other.as_str()),
    );
    let cut = &right[..right.len() - 1];
    for route in ROUTES {
        let path = format!("/a/dashboard{route}");
        for headers in [
            &[][..],
            &[("authorization", wrong.as_str())],
            &[("authorization", cut)],
            &[("authorization", token)],
            &[("cookie", "hangup_dashboard=")],
            // What a proxy on this host adds or leaves out opens nothing.
            &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")],
        ] {
            let response = ask(&app, &path, headers).await;
            assert_eq!(
                response.status(),
                StatusCode::UNAUTHORIZED,
                "{path} {headers:?}"
            );
            assert_eq!(header(&response, &CACHE_CONTROL), "no-store");
        }
        let response = ask(&app, &path, &[(AUTHORIZATION.as_str(), &right)]).await;
        let expected = match route {
            "/none" => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        };
        assert_eq!(response.status(), expected, "{path}");
    }
    assert_eq!(text(ask(&app, "/", &[]).await).await, "the application");
}

/// The link that the server prints: the browser gets a cookie, and an address without the token.
#[tokio::test]
async fn a_browser_signs_in_by_the_link() {
    let dashboard = Dashboard::new();
    let app = app(&dashboard);
    for (url, page) in [("/a/dashboard", "dashboard"), ("/a/dashboard/", "./")] {
        let response = ask(&app, &dashboard.link(url), &[]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(header(&response, &LOCATION), page);
        let cookie = header(&response, &SET_COOKIE);
        let (cookie, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/a/dashboard; HttpOnly; SameSite=Lax");
        let cookies = format!("theme=dark; {cookie}");
        let response = ask(&app, url, &[(COOKIE.as_str(), &cookies)]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = text(response).await;
        assert!(!text.contains(dashboard.token().as_str()), "{text}");
    }
    let wrong = "/a/dashboard?token=0123456789abcdef0123456789abcdef";
    assert_eq!(
        ask(&app, wrong, &[]).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

/// The page's files are found from every place where it may be mounted.
#[tokio::test]
async fn links_are_relative() {
    let dashboard = Dashboard::builder().title("<Files> & more").build();
    let open = dashboard.unprotected_router();
    let page = text(ask(&open, "/", &[]).await).await;
    assert!(page.contains("src=\"page.js\""), "{page}");
    assert!(page.contains("<h1>&lt;Files&gt; &amp; more</h1>"), "{page}");
    let nested = Router::new().nest_service("/a/dashboard", open);
    let page = text(ask(&nested, "/a/dashboard", &[]).await).await;
    assert!(page.contains("src=\"dashboard/page.js\""), "{page}");
    let page = text(ask(&nested, "/a/dashboard/", &[]).await).await;
    assert!(page.contains("src=\"page.js\""), "{page}");
}

/// All of a connection's life, without HTTP: it comes, it goes, and its reason is counted.
#[tokio::test]
async fn a_tracked_connection_comes_and_goes() {
    let dashboard = Dashboard::new();
    let open = dashboard.unprotected_router();
    let stream = hangup::MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let peer = "192.0.2.1:50000".parse().unwrap();
    dashboard.track(peer, &stream.monitor());
    dashboard.track(peer, &stream.monitor());
    let page = text(ask(&open, "/", &[]).await).await;
    assert_eq!(page.matches(">192.0.2.1:50000<").count(), 1, "{page}");

    drop(stream);
    let page = text(ask(&open, "/", &[]).await).await;
    assert!(page.contains("No connection is open."), "{page}");
    assert!(page.contains("closed by this server"), "{page}");
    let metrics = text(ask(&open, "/metrics", &[]).await).await;
    let closed = "hangup_dashboard_connections_closed_total{reason=\"dropped\"} 1";
    assert!(metrics.contains(closed), "{metrics}");

    // One that is closed already is counted, and not shown as open. The address may come again.
    let stream = hangup::MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let monitor = stream.monitor();
    drop(stream);
    dashboard.track(peer, &monitor);
    let metrics = text(ask(&open, "/metrics", &[]).await).await;
    assert!(
        metrics.contains("hangup_dashboard_connections_open 0"),
        "{metrics}"
    );
    assert!(
        metrics.contains("hangup_dashboard_connections_opened_total 2"),
        "{metrics}"
    );
}

#[test]
fn a_weak_token_is_refused() {
    for secret in [
        "",
        "fifteen-letters",
        "a space is not allowed",
        "umlauts-äöüäöüäöü",
    ] {
        let error = Token::new(secret).unwrap_err().to_string();
        assert!(error.contains("at least 16 characters"), "{error}");
    }
    assert_ne!(Token::random().as_str(), Token::random().as_str());
    assert_eq!(format!("{:?}", Token::random()), "Token(…)");
}

/// The callback runs in the drop of a body. A second panic there, of a callback that prints to a closed pipe for example,
/// ended the program.
#[tokio::test]
async fn a_callback_that_panics_harms_no_response() {
    let dashboard = Dashboard::builder()
        .on_ended(|_| panic!("the callback of the test"))
        .build();
    let stream = hangup::MonitoredStream::unwatched(tokio::io::duplex(64).0);
    let peer: Peer = Peer::new(stream.monitor(), "192.0.2.1:50000".parse().unwrap());
    let app = app(&dashboard)
        .layer(from_fn_with_state(dashboard.clone(), record))
        .layer(MockConnectInfo(peer));
    for _ in 0..2 {
        let response = ask(&app, "/", &[]).await;
        assert_eq!(text(response).await, "the application");
    }
}
