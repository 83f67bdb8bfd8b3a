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
///
/// A path is opened for each request. An open file is sent even if its name is gone by then, as that of a temporary file:
///
/// ```
/// use hangup::serve::file;
/// use std::fs::File;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("hangup-source-{}", std::process::id()));
/// std::fs::write(&path, "a,b\n1,2\n")?;
/// let report = File::open(&path)?;
/// std::fs::remove_file(&path)?;
///
/// let request = http::Request::new(());
/// let response = file(&request, (report, "report.csv")).await; // the name decides the type
/// assert_eq!(response.headers()["content-type"], "text/csv");
/// assert_eq!(file(&request, path).await.status(), 404);
/// # Ok(())
/// # }
/// ```
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

/// Responds with a file: the whole file, the range that the request asks for, or 304 and 412 where the conditions of the
/// request say so. [`FileBody`] says how the bytes reach the client.
///
/// | request | status |
/// |---|---|
/// | GET, HEAD | 200 |
/// | with one range (`Range: bytes=0-99`), whose `If-Range` matches if there is one | 206 |
/// | with a range beyond the end | 416 |
/// | with several ranges | 200, the whole file, as RFC 9110 (section 14.2) allows |
/// | `If-None-Match`, `If-Modified-Since`: the client has it | 304 |
/// | `If-Match`, `If-Unmodified-Since`: it is another one now | 412 |
/// | the path is missing, or is not a file | 404 |
/// | the file must not be read | 403 |
/// | another method | 405 |
///
/// The entity tag is made of the file's modification time and length. Replace files by renaming new ones over them: a file
/// that is overwritten in place is sent half old and half new.
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
///
/// # Examples
///
/// A client that has the file already, and one that has an older version:
///
/// ```
/// use hangup::serve::file;
/// use http::Request;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("hangup-conditions-{}", std::process::id()));
/// std::fs::write(&path, "version 1")?;
/// let response = file(&Request::new(()), path.as_path()).await;
/// let tag = response.headers()["etag"].clone();
/// let again = Request::builder().header("if-none-match", tag).body(()).unwrap();
/// assert_eq!(file(&again, path.as_path()).await.status(), 304);
///
/// std::fs::write(&path, "version two")?;
/// assert_eq!(file(&again, path.as_path()).await.status(), 200);
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
///
/// A download under a name of its own. The file's own name, and a type that browsers do not show, come from the program:
///
/// ```
/// use axum::{Router, extract::Request, routing::get};
/// use hangup::MonitoredListener;
/// use hangup::serve::{file, serve};
/// use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
/// use http::HeaderValue;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("hangup-download-{}", std::process::id()));
/// # std::fs::write(&path, "a,b\n1,2\n")?;
/// # let stored = path.clone();
/// let export = async move |request: Request| {
///     let mut response = file(&request, stored).await;
///     if response.status().is_success() {
///         let headers = response.headers_mut();
///         headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
///         let name = HeaderValue::from_static("attachment; filename=\"export.csv\"");
///         headers.insert(CONTENT_DISPOSITION, name); // RFC 6266
///     }
///     response
/// };
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// tokio::spawn(serve(listener, Router::new().route("/export", get(export))).into_future());
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET /export HTTP/1.0\r\n\r\n").await?;
/// let mut response = String::new();
/// client.read_to_string(&mut response).await?;
/// assert!(response.contains("content-disposition: attachment; filename=\"export.csv\"\r\n"));
/// assert!(response.ends_with("a,b\n1,2\n"));
/// # std::fs::remove_file(&path)
/// # }
/// ```
pub fn file<B>(
    request: &Request<B>,
    source: impl Into<FileSource>,
) -> Pin<Box<dyn Future<Output = Response<FileBody>> + Send>> {
    let (mut asked, source) = (Asked::new(request), source.into());
    Box::pin(async move {
        if !asked.is_allowed() {
            return response::not_allowed();
        }
        if !asked.may_open() {
            return response::busy();
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
