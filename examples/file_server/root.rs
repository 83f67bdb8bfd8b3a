//! The directory that is served, and no way out of it.
//!
//! Paths are opened relative to a handle on the directory ([`cap_std::fs::Dir`]), which refuses `..`,
//! absolute paths and symbolic links that lead outside, whatever is renamed meanwhile.

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
use tower_http::services::fs::{Backend, File};

#[derive(Clone)]
pub(crate) struct Root {
    dir: Arc<Dir>,
}

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// Runs `ask`, which may wait for the disk, on a thread of its own.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static,
    ) -> Opening<T> {
        let dir = self.dir.clone();
        Box::pin(async move { tokio::task::spawn_blocking(move || ask(&dir)).await? })
    }
}

/// Opens a file or a directory. Anything else is not found: to read a pipe or a device may wait for
/// ever.
fn open(dir: &Dir, path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        // To open a pipe would wait for its writer.
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
