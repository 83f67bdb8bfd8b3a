//! The host that a request names.
//!
//! A server must not guess the host. If a request names two, and the proxy and the server choose different ones, the
//! request bypasses the proxy's rules.
//!
//! | the target | `Host` | answer |
//! |---|---|---|
//! | a path | one, valid | the request |
//! | a path | none, several, invalid | 400 (RFC 9112, section 3.2); HTTP/1.0 and HTTP/2 need none |
//! | a URI (HTTP/1) | one, valid | the request, with the host of the URI as its `Host` (RFC 9112, section 3.2.2) |
//! | with an authority (HTTP/2) | none, or the same | the request |
//! | with an authority (HTTP/2) | another one | 400 (RFC 9113, section 8.3.1) |
//! | with user information | any | 400 (RFC 9110, section 4.2.4) |

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Uri, Version};

/// Makes a request name exactly one valid host. The server answers any other request with 400 and the returned text.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let Some(host) = of_field(request)? else {
        return of_target(request.uri());
    };
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    of_target(request.uri())?;
    if is_same(&host, authority, request.uri()) || request.method() == Method::CONNECT {
        return Ok(());
    }
    if request.version() == Version::HTTP_2 {
        return Err("The request's Host field and its authority differ.\n");
    }
    let host = HeaderValue::try_from(authority.as_str());
    let host = host.map_err(|_| "The request's target is invalid.\n")?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// Whether the target has no user information.
fn of_target(uri: &Uri) -> Result<(), &'static str> {
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("The request's target has user information.\n")
        }
        _ => Ok(()),
    }
}

/// Whether both mean the same host and port.
fn is_same(host: &Authority, authority: &Authority, uri: &Uri) -> bool {
    let default = match uri.scheme_str() {
        Some("https") => Some(443),
        _ => Some(80),
    };
    let port = |of: &Authority| of.port_u16().or(default);
    host.host().eq_ignore_ascii_case(authority.host()) && port(host) == port(authority)
}

/// The host of the field, if the request may come without one.
fn of_field<B>(request: &Request<B>) -> Result<Option<Authority>, &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err("The request has several Host fields.\n");
    }
    let Some(host) = host else {
        // HTTP/2 has `:authority`, and HTTP/1.0 came before the field.
        return match request.version() {
            Version::HTTP_11 => Err("The request has no Host field.\n"),
            _ => Ok(None),
        };
    };
    match Authority::try_from(host.as_bytes()) {
        Ok(host) if !host.as_str().contains('@') => Ok(Some(host)),
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
        check(&mut request.body(()).unwrap()).is_ok()
    }

    /// The `Host` of a request with this target after the check.
    fn host(version: Version, target: &str, host: &str) -> Option<String> {
        let request = Request::builder().version(version).uri(target);
        let mut request = request.header(HOST, host).body(()).unwrap();
        check(&mut request).ok()?;
        Some(request.headers()[HOST].to_str().unwrap().to_owned())
    }

    #[test]
    fn the_target_names_the_host_too() {
        for (target, field, version, expected) in [
            ("http://a/", "a", Version::HTTP_11, Some("a")),
            ("http://a/", "b", Version::HTTP_11, Some("a")),
            ("http://a:81/", "a", Version::HTTP_11, Some("a:81")),
            ("http://a/", "A:80", Version::HTTP_11, Some("A:80")),
            ("http://u@a/", "a", Version::HTTP_11, None),
            ("/", "a", Version::HTTP_2, Some("a")),
            ("http://a/", "a", Version::HTTP_2, Some("a")),
            ("https://a/", "A:443", Version::HTTP_2, Some("A:443")),
            ("http://a/", "b", Version::HTTP_2, None),
            ("http://a/", "a:81", Version::HTTP_2, None),
            ("https://u@a/", "a", Version::HTTP_2, None),
        ] {
            let host = host(version, target, field);
            assert_eq!(host.as_deref(), expected, "{version:?} {target} {field}");
        }
        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://u@a/");
        assert!(check(&mut request.body(()).unwrap()).is_err());
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
