//! The files of a directory, and no way out of it.
//!
//! Paths are opened relative to a handle on the directory ([`cap_std::fs::Dir`]), which refuses `..`,
//! absolute paths and symbolic links that lead outside, whatever is renamed meanwhile.

use crate::if_range;
use crate::listing::listing;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fs::Metadata;
use std::future::Future;
use std::io::{self, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, File};

pub(crate) type Files = ServeDir<Router, Root>;

/// The files below `root`, and a listing for a directory without index.html.
pub(crate) fn router(root: &Path) -> io::Result<Router> {
    let dir = Arc::new(Dir::open_ambient_dir(root, ambient_authority())?);
    let listing = Router::new()
        .fallback(listing)
        .with_state(Root(dir.clone()));
    let files = ServeDir::with_backend(".", Root(dir)).fallback(listing);
    Ok(Router::new().fallback(serve).with_state(files))
}

async fn serve(State(files): State<Files>, mut request: Request) -> Response {
    if_range::apply(&files, &mut request).await;
    match files.clone().try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            note!("cannot read a file: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "cannot read this file\n").into_response()
        }
    }
}

#[derive(Clone)]
pub(crate) struct Root(Arc<Dir>);

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Root {
    /// Runs `ask`, which may wait for the disk, on a thread for blocking work.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static,
    ) -> Opening<T> {
        let dir = self.0.clone();
        Box::pin(async move { tokio::task::spawn_blocking(move || ask(&dir)).await? })
    }
}

/// Opens a file or a directory. Anything else is not found: to read a pipe or a device may wait forever.
fn open(dir: &Dir, path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        // Opening a pipe would wait for its writer.
        use cap_std::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = dir.open_with(path, &options)?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_file() || metadata.is_dir() {
        Ok(file)
    } else {
        Err(ErrorKind::NotFound.into())
    }
}

impl Backend for Root {
    type File = RootFile;
    type Metadata = Metadata;
    type OpenFuture = Opening<RootFile>;
    type MetadataFuture = Opening<Metadata>;

    fn open(&self, path: PathBuf) -> Opening<RootFile> {
        self.ask(move |dir| Ok(RootFile(open(dir, &path)?.into())))
    }

    fn metadata(&self, path: PathBuf) -> Opening<Metadata> {
        self.ask(move |dir| open(dir, &path)?.metadata())
    }
}

/// An open file, read on tokio's threads for blocking work.
pub(crate) struct RootFile(tokio::fs::File);

impl File for RootFile {
    type Metadata = Metadata;
    type MetadataFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Metadata>> + Send + 'a>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        Box::pin(self.0.metadata())
    }
}

impl AsyncRead for RootFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncSeek for RootFile {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.0).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.0).poll_complete(cx)
    }
}
