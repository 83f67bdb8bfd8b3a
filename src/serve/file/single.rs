//! One file as a response.

use super::body::FileBody;
use super::open::Opened;
use super::response::{self, Asked};
use http::{Request, Response, StatusCode};
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

/// What [`file()`] sends: the file at a path, or an open one.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileSource {
    /// The file at a path, which the program has chosen: it may be anywhere.
    Path(PathBuf),
    /// An open file, and a name for its type.
    File(File, PathBuf),
}

impl From<&str> for FileSource {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<&Path> for FileSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.into())
    }
}

impl From<PathBuf> for FileSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// An open file has no name: its type is `application/octet-stream`.
impl From<File> for FileSource {
    fn from(file: File) -> Self {
        Self::File(file, PathBuf::new())
    }
}

/// An open file, and a name for its type.
impl<P: Into<PathBuf>> From<(File, P)> for FileSource {
    fn from((file, name): (File, P)) -> Self {
        Self::File(file, name.into())
    }
}

/// The response with a file: the whole, the part that the request asks for, or what its conditions ask for in
/// its place. How the file gets to the client: [`FileBody`].
///
/// It knows GET and HEAD, one range and `If-Range`, and all preconditions of RFC 9110; several ranges are
/// answered with the whole file. The entity tag is made of the file's time and length: replace files by renaming
/// new ones, rather than writing into them.
///
/// A file that is not there, and whatever is no file, is answered with status 404.
///
/// ```no_run
/// use axum::{Router, extract::Request, routing::get};
/// use hangup::MonitoredListener;
/// use hangup::serve::{file, serve};
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let report = async |request: Request| file(&request, "/srv/report.pdf").await;
///     let router = Router::new().route("/report", get(report));
///     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
///     serve(listener, router).await?;
///     Ok(())
/// }
/// ```
///
/// # Cancel safety
///
/// Cancel safe: nothing but the response is made.
pub fn file<B>(
    request: &Request<B>,
    source: impl Into<FileSource>,
) -> Pin<Box<dyn Future<Output = Response<FileBody>> + Send>> {
    let (asked, source) = (Asked::new(request), source.into());
    Box::pin(async move {
        if !asked.is_allowed() {
            return response::not_allowed();
        }
        let (opened, name) = match source {
            FileSource::Path(path) => (Opened::at(path.clone()).await, path),
            FileSource::File(file, name) => (Opened::from_file(file), name),
        };
        match opened {
            Ok(opened) if opened.metadata.is_file() => asked.respond(opened, &name, None, false),
            Ok(_) => response::message(StatusCode::NOT_FOUND),
            Err(error) => response::failed(&error),
        }
    })
}
