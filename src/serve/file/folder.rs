//! A folder as a service.

use super::body::FileBody;
use super::coding::{self, Coding};
use super::folder_response::FolderResponse;
use super::open::Opened;
use super::response::{self, Asked};
use super::target::Target;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::header::LOCATION;
use http::{HeaderValue, Request, Response, StatusCode};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Serves the files of a folder. It is a tower service: for [`serve`](crate::serve::serve), or for a route of axum.
///
/// # Default
///
/// * index: `index.html` is sent for a directory that has one
/// * precompressed files: no
///
/// # What it serves
///
/// Paths are opened relative to the folder, and nothing outside of it is opened. `..` is refused, and so is a symbolic
/// link that leads out of the folder, also when files are renamed at the same time (openat2(2) with `RESOLVE_BENEATH` on
/// Linux, by cap-std).
///
/// | request | response |
/// |---|---|
/// | GET, HEAD of a file | the file, as [`file`](super::file) sends it, with `X-Content-Type-Options: nosniff` |
/// | of a directory with a trailing slash | its index, or 404 |
/// | of a directory without one | a redirect (308) to the path with the slash, on the same host; below axum's `nest` too |
/// | of a path that is missing, too long, a loop of links, a pipe or a device | 404 |
/// | another method | 405 |
///
/// Hidden files (`.git`, `.env`) are served like all others: keep them out of the folder.
///
/// ```no_run
/// use hangup::MonitoredListener;
/// use hangup::serve::{ServeFolder, serve};
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let folder = ServeFolder::open("/srv/www")?.precompressed(true);
///     let listener = MonitoredListener::bind("127.0.0.1:8080").await?;
///     serve(listener, folder).shutdown_on_signals().await?;
///     Ok(())
/// }
/// ```
///
/// What is sent for a directory, and for a path that leads out of the folder:
///
/// ```
/// use hangup::serve::ServeFolder;
/// use http::Request;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("hangup-folder-{}", std::process::id()));
/// # std::fs::create_dir_all(directory.join("docs"))?;
/// std::fs::write(directory.join("docs/index.html"), "<h1>hello</h1>")?;
/// let folder = ServeFolder::open(&directory)?;
/// for (path, status) in [("/docs/", 200), ("/docs", 308), ("/docs/../../etc/passwd", 404)] {
///     let request = Request::get(path).body(()).unwrap();
///     let response = folder.clone().oneshot(request).await.unwrap();
///     assert_eq!(response.status(), status, "{path}");
/// }
/// # std::fs::remove_dir_all(&directory)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ServeFolder {
    folder: Arc<Dir>,
    index: Option<Arc<Path>>,
    precompressed: bool,
}

impl ServeFolder {
    /// Serves the folder at `path`.
    ///
    /// The folder is opened now. If another folder takes its path later, this one is still served: a deployment that
    /// replaces the folder has to restart the server, or to replace the files inside.
    ///
    /// # Errors
    ///
    /// Those of opening a directory.
    ///
    /// ```
    /// use hangup::serve::ServeFolder;
    /// use std::io::ErrorKind;
    ///
    /// let error = ServeFolder::open("/no/such/folder").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let folder = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self {
            folder: Arc::new(folder),
            index: Some(Path::new("index.html").into()),
            precompressed: false,
        })
    }

    /// The name of the file that is sent for a directory, or `None`. Default: `index.html`.
    ///
    /// ```
    /// use hangup::serve::ServeFolder;
    /// use http::{Request, StatusCode};
    /// use tower_service::Service;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-index-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// std::fs::write(directory.join("start.html"), "<h1>hello</h1>")?;
    /// let folder = ServeFolder::open(&directory)?;
    /// let request = || Request::builder().uri("/").body(());
    ///
    /// let response = folder.clone().call(request()?).await?;
    /// assert_eq!(response.status(), StatusCode::NOT_FOUND); // there is no index.html
    /// let response = folder.index(Some("start.html".into())).call(request()?).await?;
    /// assert_eq!(response.status(), StatusCode::OK);
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn index(mut self, name: impl Into<Option<PathBuf>>) -> Self {
        self.index = name.into().map(Into::into);
        self
    }

    /// Whether to send `name.br`, `name.zst` or `name.gz` in place of `name` to clients that accept the coding. Default: no.
    ///
    /// The client's preference decides (`Accept-Encoding`, RFC 9110, section 12.5.3). `name` itself must be there too: a
    /// compressed file that was left behind is not served. It costs an attempt to open a file for each coding that a
    /// client accepts. Nothing is compressed here: `gzip -k -9` and `brotli -k` make the files.
    ///
    /// ```
    /// use hangup::serve::ServeFolder;
    /// use http::Request;
    /// use tower_service::Service;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-precompressed-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// std::fs::write(directory.join("app.js"), "let a = 1;")?;
    /// std::fs::write(directory.join("app.js.br"), "compressed by the build")?;
    /// let mut folder = ServeFolder::open(&directory)?.precompressed(true);
    /// let request = Request::builder().uri("/app.js").header("accept-encoding", "br, gzip");
    /// let response = folder.call(request.body(())?).await?;
    /// assert_eq!(response.headers()["content-encoding"], "br");
    /// assert_eq!(response.headers()["content-type"], "text/javascript");
    /// assert_eq!(response.headers()["vary"], "accept-encoding");
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn precompressed(mut self, precompressed: bool) -> Self {
        self.precompressed = precompressed;
        self
    }

    /// Returns the answer to `request`, and a directory without an index as such: for programs that list directories.
    ///
    /// ```
    /// use hangup::serve::{FolderResponse, ServeFolder};
    /// use http::Request;
    /// use std::path::Path;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("hangup-get-{}", std::process::id()));
    /// std::fs::create_dir_all(directory.join("reports/2024"))?;
    /// let folder = ServeFolder::open(&directory)?;
    /// let request = Request::builder().uri("/reports/2024/").body(())?;
    /// match folder.get(&request).await {
    ///     FolderResponse::Directory(path) => assert_eq!(path, Path::new("reports/2024")),
    ///     other => panic!("{other:?}"),
    /// }
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<B>(
        &self,
        request: &Request<B>,
    ) -> impl Future<Output = FolderResponse> + Send + use<B> {
        self.clone().answer(Asked::new(request))
    }

    /// Refuses what is no GET or HEAD (405), and a path that is not a path below the folder (404).
    async fn answer(self, asked: Asked) -> FolderResponse {
        match self.answer_now(asked) {
            Break(answer) => answer.into(),
            Continue((asked, target)) => self.find(asked, &target).await,
        }
    }

    /// The answer, if it takes no wait for the disk. Most requests are answered here: the future of all other cases has some
    /// kilobytes.
    fn answer_now(&self, mut asked: Asked) -> ControlFlow<Response<FileBody>, (Asked, Target)> {
        if !asked.is_allowed() {
            return Break(response::not_allowed());
        }
        if !asked.may_open() {
            return Break(response::busy());
        }
        let Some(target) = Target::new(asked.path()) else {
            return Break(response::message(StatusCode::NOT_FOUND));
        };
        if target.is_directory
            || self.precompressed && !coding::accepted(asked.headers()).is_empty()
        {
            return Continue((asked, target));
        }
        match Opened::below_now(&self.folder, &target.path) {
            Some(Ok(opened)) if opened.metadata.is_file() => {
                Break(asked.respond(opened, &target.path, None, self.precompressed))
            }
            Some(Err(error)) => Break(response::failed(&error)),
            _ => Continue((asked, target)),
        }
    }

    /// Opens what the path names. A directory without the slash at its end is redirected to the path with it, because links
    /// in its index are relative to that.
    async fn find(&self, asked: Asked, target: &Target) -> FolderResponse {
        if !target.is_directory
            && let Some((opened, coding)) = self.compressed(&asked, &target.path).await
        {
            return asked
                .respond(opened, &target.path, Some(coding), true)
                .into();
        }
        let opened = match Opened::below(&self.folder, &target.path).await {
            Ok(opened) => opened,
            Err(error) => return response::failed(&error).into(),
        };
        match (opened.metadata.is_dir(), target.is_directory) {
            (false, false) => asked
                .respond(opened, &target.path, None, self.precompressed)
                .into(),
            // A file is no directory.
            (false, true) => response::message(StatusCode::NOT_FOUND).into(),
            (true, false) => redirect(target, &asked).into(),
            (true, true) => self.index_of(asked, target).await,
        }
    }

    /// The index file of a directory, compressed if the client accepts that. Without one the caller answers.
    async fn index_of(&self, asked: Asked, target: &Target) -> FolderResponse {
        if let Some(index) = &self.index {
            let path = target.path.join(index);
            if let Some((opened, coding)) = self.compressed(&asked, &path).await {
                return asked.respond(opened, &path, Some(coding), true).into();
            }
            match Opened::below(&self.folder, &path).await {
                Ok(opened) if opened.metadata.is_file() => {
                    return asked
                        .respond(opened, &path, None, self.precompressed)
                        .into();
                }
                Ok(_) => {}
                // An index that cannot be opened now is not one that is missing.
                Err(error) => {
                    let response = response::failed(&error);
                    if response.status() != StatusCode::NOT_FOUND {
                        return response.into();
                    }
                }
            }
        }
        FolderResponse::Directory(target.path.clone())
    }

    /// The compressed file that the client accepts, if there is one beside the file itself.
    async fn compressed(&self, asked: &Asked, path: &Path) -> Option<(Opened, Coding)> {
        if !self.precompressed {
            return None;
        }
        for coding in coding::accepted(asked.headers()) {
            let Ok(opened) = Opened::below(&self.folder, &with_suffix(path, coding)).await else {
                continue;
            };
            // A compressed file without its original is a leftover.
            let original = Opened::below(&self.folder, path).await.ok()?;
            if opened.metadata.is_file() && original.metadata.is_file() {
                return Some((opened, coding));
            }
        }
        None
    }
}

fn with_suffix(path: &Path, coding: Coding) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(coding.suffix);
    name.into()
}

/// Redirects to the path of the directory, on the same host and with the same query.
fn redirect(target: &Target, asked: &Asked) -> Response<FileBody> {
    let mut location = match asked.is_nested() {
        true => target.as_relative_directory(),
        false => target.as_directory(),
    };
    if let Some(query) = asked.query() {
        location.push('?');
        // A query may come with characters of UTF-8, and a URI has ASCII alone (RFC 3986, section 2).
        location.extend(utf8_percent_encode(query, CONTROLS));
    }
    let mut response = response::message(StatusCode::PERMANENT_REDIRECT);
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        // A query with a byte that no field may have.
        Err(_) => response::message(StatusCode::BAD_REQUEST),
    }
}

impl<B> Service<Request<B>> for ServeFolder {
    type Response = Response<FileBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<FileBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (asked, target) = match self.answer_now(Asked::from(request.into_parts().0)) {
            Break(response) => return Box::pin(ready(Ok(response))),
            Continue(rest) => rest,
        };
        let folder = self.clone();
        Box::pin(async move {
            Ok(match folder.find(asked, &target).await {
                FolderResponse::Response(response) => response,
                FolderResponse::Directory(_) => response::message(StatusCode::NOT_FOUND),
            })
        })
    }
}
