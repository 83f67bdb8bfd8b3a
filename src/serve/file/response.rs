//! The response to a request for a file (RFC 9110).

use super::body::FileBody;
use super::coding::Coding;
use super::conditions;
use super::open::Opened;
use super::place::Place;
use super::range::{self, Wanted};
use super::version::Version;
use crate::serve::Connection;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The parts of a request that the response with a file depends on.
#[derive(Debug)]
pub(super) struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    connection: Option<Connection>,
    place: Option<Place>,
    /// A router has removed a prefix of the path.
    is_nested: bool,
}

impl Asked {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            connection: request.extensions().get().cloned(),
            place: None,
            is_nested: is_nested(request.extensions()),
        }
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the path is only the end of the path that the client knows.
    pub(super) fn is_nested(&self) -> bool {
        self.is_nested
    }

    /// Whether the method is GET or HEAD.
    pub(super) fn is_allowed(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// Whether a file may be opened for the response, which counts as open from here on.
    pub(super) fn may_open(&mut self) -> bool {
        if let Some(connection) = &self.connection {
            self.place = Place::take(connection.state());
            return self.place.is_some();
        }
        // Another server has its own limits.
        true
    }

    /// The response with the file, or with the status that replaces it.
    ///
    /// `name` gives the media type. `coding` is the content coding of the file, and `varies` says whether other clients
    /// may get another coding.
    pub(super) fn respond(
        self,
        opened: Opened,
        name: &Path,
        coding: Option<Coding>,
        varies: bool,
    ) -> Response<FileBody> {
        let length = opened.metadata.len();
        let version = Version::of(&opened.metadata);
        let version = match coding {
            Some(coding) => version.coded(coding.name),
            None => version,
        };
        let instead = conditions::instead(&self.headers, &version);
        let wanted =
            match self.method == Method::GET && conditions::allow_range(&self.headers, &version) {
                true => range::wanted(&self.headers, length),
                false => Wanted::Whole,
            };
        let mut response = match (instead, &wanted) {
            (Some(StatusCode::NOT_MODIFIED), _) => empty(StatusCode::NOT_MODIFIED),
            (Some(status), _) => message(status),
            (None, Wanted::Unsatisfiable) => message(StatusCode::RANGE_NOT_SATISFIABLE),
            (None, Wanted::Part(_)) => empty(StatusCode::PARTIAL_CONTENT),
            (None, Wanted::Whole) => empty(StatusCode::OK),
        };
        let headers = response.headers_mut();
        let (tag, modified) = version.into_fields(SystemTime::now());
        headers.insert(ETAG, tag);
        set(headers, LAST_MODIFIED, modified);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if varies {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        let range = match (instead, wanted) {
            (Some(_), _) => return response,
            (None, Wanted::Unsatisfiable) => {
                let range = HeaderValue::try_from(format!("bytes */{length}"));
                set(headers, CONTENT_RANGE, range.ok());
                return response;
            }
            (None, Wanted::Part(part)) => {
                let (first, last) = (part.start, part.end - 1);
                let range = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
                set(headers, CONTENT_RANGE, range.ok());
                part
            }
            (None, Wanted::Whole) => 0..length,
        };
        headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
        headers.insert(CONTENT_TYPE, media_type(name));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name));
        }
        if self.method == Method::GET {
            let file = Arc::new(opened.file);
            *response.body_mut() = FileBody::part(file, range.start, range.end, self.place);
        }
        response
    }
}

impl From<Parts> for Asked {
    fn from(parts: Parts) -> Self {
        Self {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            connection: parts.extensions.get().cloned(),
            place: None,
            is_nested: is_nested(&parts.extensions),
        }
    }
}

/// Whether axum's `nest` or `nest_service` has passed the request on.
#[cfg(feature = "axum")]
fn is_nested(extensions: &Extensions) -> bool {
    extensions.get::<::axum::extract::NestedPath>().is_some()
}

#[cfg(not(feature = "axum"))]
fn is_nested(_: &Extensions) -> bool {
    false
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn media_type(name: &Path) -> HeaderValue {
    let guess = mime_guess::from_path(name).first_raw();
    HeaderValue::from_static(guess.unwrap_or("application/octet-stream"))
}

fn empty(status: StatusCode) -> Response<FileBody> {
    let mut response = Response::new(FileBody::empty());
    *response.status_mut() = status;
    response
}

/// A response whose body is the name of its status.
pub(super) fn message(status: StatusCode) -> Response<FileBody> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("Error"));
    let mut response = empty(status);
    *response.body_mut() = FileBody::from(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The response to a method other than GET and HEAD.
pub(super) fn not_allowed() -> Response<FileBody> {
    let mut response = message(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The response if too many files are open.
pub(super) fn busy() -> Response<FileBody> {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}

/// The response if a file could not be opened. It does not repeat the system's message, which may name paths and links.
pub(super) fn failed(error: &io::Error) -> Response<FileBody> {
    message(match error.kind() {
        // cap-std's error for a path that leads out of the folder has no code of the system.
        ErrorKind::PermissionDenied if error.raw_os_error().is_some() => StatusCode::FORBIDDEN,
        _ if is_of_path(error) => StatusCode::NOT_FOUND,
        _ if is_exhausted(error) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

/// Whether the path is wrong, and not the server: it names nothing, nothing that can be served, or nothing below the folder
/// (`EXDEV`, openat2(2)).
fn is_of_path(error: &io::Error) -> bool {
    let kind = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::PermissionDenied
    );
    #[cfg(unix)]
    let kind = kind
        || matches!(
            error.raw_os_error(),
            Some(libc::ELOOP | libc::ENAMETOOLONG | libc::EXDEV | libc::ENXIO | libc::ENODEV)
        );
    kind
}

fn is_exhausted(error: &io::Error) -> bool {
    #[cfg(unix)]
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        return true;
    }
    error.kind() == ErrorKind::OutOfMemory
}
