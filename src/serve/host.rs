//! The host that a request names.
//!
//! A server must not guess the host. If a request names two, and the proxy and the server choose different ones, the
//! request bypasses the proxy's rules.

use http::header::HOST;
use http::uri::Authority;
use http::{Request, Version};

/// Requires that a request names exactly one valid host. The server answers any other request with 400 (RFC 9112,
/// section 3.2).
pub(super) fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err("The request has several Host fields.\n");
    }
    let Some(host) = host else {
        // HTTP/2 has `:authority`, and HTTP/1.0 came before the field.
        return match request.version() {
            Version::HTTP_11 => Err("The request has no Host field.\n"),
            _ => Ok(()),
        };
    };
    match Authority::try_from(host.as_bytes()) {
        Ok(host) if !host.as_str().contains('@') => Ok(()),
        _ => Err("The request's Host field is empty or invalid.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(version: Version, hosts: &[&str]) -> bool {
        let mut request = Request::builder().version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn one_valid_host() {
        for host in ["example.com", "example.com:80", "192.0.2.1", "[::1]:8080"] {
            assert!(valid(Version::HTTP_11, &[host]), "{host}");
        }
        for host in ["", " ", "a b", "a/b", "a@b", "a, b", "[::1"] {
            assert!(!valid(Version::HTTP_11, &[host]), "{host}");
        }
        assert!(!valid(Version::HTTP_11, &[]));
        assert!(!valid(Version::HTTP_11, &["example.com", "example.com"]));
        assert!(valid(Version::HTTP_10, &[]));
        assert!(valid(Version::HTTP_2, &[]));
        assert!(!valid(Version::HTTP_2, &["a", "b"]));
    }
}
