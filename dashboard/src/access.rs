//! Who may see the dashboard.

use crate::listener::Peer;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{FORWARDED, HOST, VIA};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Programs on this host.
    ThisHost,
    /// Whoever can connect.
    Anybody,
}

/// What proxies add. From behind one on this host, every client looks as if it were here.
const PROXIED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-real-ip"];

impl Access {
    fn refusal(self, peer: IpAddr, headers: &HeaderMap) -> Option<&'static str> {
        if self == Self::Anybody {
            return None;
        }
        let proxied = [FORWARDED, VIA]
            .iter()
            .any(|name| headers.contains_key(name))
            || PROXIED.iter().any(|name| headers.contains_key(*name));
        if !peer.to_canonical().is_loopback() || proxied {
            return Some("The dashboard is for this host only. --dashboard=any opens it to all.\n");
        }
        // A page from elsewhere can let its own name lead here (DNS rebinding), and the browser then
        // takes this server for that page's. No name can lead to an address, or to localhost.
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_this_host) {
            return Some("Ask for the dashboard by this host's address, or as localhost.\n");
        }
        None
    }
}

fn is_this_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

pub(crate) async fn check(
    State(access): State<Access>,
    ConnectInfo(Peer { ledger }): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match access.refusal(ledger.client.ip(), request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    }
}
