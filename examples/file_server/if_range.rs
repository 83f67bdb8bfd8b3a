//! `If-Range`, which [`ServeDir`](tower_http::services::ServeDir) does not know: a part of a file is
//! sent only if the file is still the one that the client has the rest of.

use crate::files::Files;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use axum::http::{HeaderValue, Method, Uri};

/// Takes the range out of `request` if the file has changed: the answer is then the whole of it.
pub(crate) async fn apply(files: &Files, request: &mut Request) {
    let Some(condition) = request.headers_mut().remove(IF_RANGE) else {
        return;
    };
    let uri = request.uri().clone();
    if request.headers().contains_key(RANGE) && !holds(files, uri, &condition).await {
        request.headers_mut().remove(RANGE);
    }
}

async fn holds(files: &Files, uri: Uri, condition: &HeaderValue) -> bool {
    let mut head = Request::new(Body::empty());
    *head.method_mut() = Method::HEAD;
    *head.uri_mut() = uri;
    let Ok(response) = files.clone().try_call(head).await else {
        return false;
    };
    // It is to match to the letter (RFC 9110, section 13.1.5). The entity tags of `ServeDir` are
    // strong ones.
    [ETAG, LAST_MODIFIED]
        .iter()
        .any(|name| response.headers().get(name) == Some(condition))
}
