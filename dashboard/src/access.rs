//! Admits requests that present the token.
//!
//! A browser presents it once, in the link that the server printed, and then as a cookie. So the address bar and the
//! history do not keep it. Programs send it as a bearer token (RFC 6750).

use crate::token::Token;
use axum::extract::{OriginalUri, Query, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

const NAME: &str = "hangup_dashboard";

const REFUSED: &str = "\
The dashboard needs its token.\n\
In a browser, open the link that the server printed when it started: it ends with ?token=...\n\
In a program, send the header: Authorization: Bearer TOKEN\n";

#[derive(Deserialize)]
pub(crate) struct Link {
    token: Option<String>,
}

pub(crate) async fn check(
    State(token): State<Token>,
    OriginalUri(uri): OriginalUri,
    Query(link): Query<Link>,
    request: Request,
    next: Next,
) -> Response {
    if link.token.is_some_and(|link| token.admits(&link)) {
        return sign_in(&token, uri.path());
    }
    let bearer = bearer(request.headers());
    if bearer
        .into_iter()
        .chain(cookies(request.headers()))
        .any(|presented| token.admits(presented))
    {
        return next.run(request).await;
    }
    let challenge = "Bearer realm=\"dashboard\"";
    let headers = [(WWW_AUTHENTICATE, challenge)];
    (StatusCode::UNAUTHORIZED, headers, REFUSED).into_response()
}

/// Sends the browser to the same page without the token, which it keeps as a cookie.
///
/// `Lax` and not `Strict`, so that a link in a chat or an e-mail works too. No route changes anything, and no other site
/// may read or frame the page.
fn sign_in(token: &Token, path: &str) -> Response {
    let folder = path.trim_end_matches('/');
    let cookie = format!(
        "{NAME}={}; Path={}; HttpOnly; SameSite=Lax",
        token.as_str(),
        if folder.is_empty() { "/" } else { folder }
    );
    // A relative path also works behind a proxy that adds a prefix.
    let page = match path.rsplit_once('/') {
        Some((_, "")) | None => "./",
        Some((_, page)) => page,
    };
    let headers = [(SET_COOKIE, cookie.as_str()), (LOCATION, page)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// A browser sends several if one dashboard is mounted below another.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}
