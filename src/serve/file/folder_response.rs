//! The answer of a folder to a request.

use super::body::FileBody;
use http::Response;
use std::path::PathBuf;

/// The answer of a folder to a request: [`ServeFolder::get`](super::ServeFolder::get).
///
/// For a program that lists directories itself:
///
/// ```
/// use hangup::serve::{FileBody, FolderResponse, ServeFolder};
/// use http::{Request, Response};
///
/// async fn answer(folder: &ServeFolder, request: &Request<()>) -> std::io::Result<Response<FileBody>> {
///     Ok(match folder.get(request).await {
///         FolderResponse::Response(response) => response,
///         FolderResponse::Directory(path) => {
///             let list = format!("the directory {}\n", path.display());
///             Response::new(FileBody::from(bytes::Bytes::from(list)))
///         }
///         other => panic!("{other:?}"),
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("hangup-answer-{}", std::process::id()));
/// std::fs::create_dir_all(directory.join("reports"))?;
/// let folder = ServeFolder::open(&directory)?;
/// let request = Request::get("/reports/").body(()).unwrap();
/// assert_eq!(answer(&folder, &request).await?.status(), 200);
/// let missing = Request::get("/missing").body(()).unwrap();
/// assert_eq!(answer(&folder, &missing).await?.status(), 404);
/// # std::fs::remove_dir_all(&directory)
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderResponse {
    /// A response: the file, a redirect, an error.
    Response(Response<FileBody>),
    /// A directory without an index, by its path below the folder. [`ServeFolder`](super::ServeFolder) as a service answers
    /// with status 404; a program may list it.
    Directory(PathBuf),
}

impl From<Response<FileBody>> for FolderResponse {
    fn from(response: Response<FileBody>) -> Self {
        Self::Response(response)
    }
}
