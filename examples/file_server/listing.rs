//! The page that lists a directory without an index.html.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use hangup::errors::{ErrorClass, classify};
use indicatif::HumanBytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// What is encoded in a name to make it one segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The directory tree. [`Dir`] refuses symbolic links that lead out of it.
#[derive(Clone)]
pub(crate) struct Listing(Arc<Dir>);

impl Listing {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(root, ambient_authority())?;
        Ok(Self(Arc::new(root)))
    }

    /// The page for the directory at `path`, relative to the root: "." for the root itself.
    pub(crate) async fn page(&self, path: PathBuf) -> Response {
        let root = self.0.clone();
        // Reading a directory may wait for the disk.
        let page = spawn_blocking(move || {
            let entries = entries(&root.open_dir(&path)?)?;
            Ok::<_, io::Error>(html(&path, &entries))
        });
        match page.await {
            Ok(Ok(page)) => Html(page).into_response(),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                (StatusCode::NOT_FOUND, "not found\n").into_response()
            }
            // Too many open files, for example.
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "cannot list this directory now\n",
            )
                .into_response(),
        }
    }
}

struct Entry {
    name: String,
    /// `None` for a directory.
    bytes: Option<u64>,
}

/// Directories first, each kind by name.
fn entries(dir: &Dir) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in dir.entries()? {
        // A name that is not UTF-8 has no URL here.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let metadata = match dir.metadata(&name) {
            Ok(metadata) => metadata,
            // It takes a descriptor. Without one the list would not be the whole.
            Err(error) if classify(&error) == ErrorClass::LocalResources => return Err(error),
            // Such as of a symbolic link that leads out.
            Err(_) => continue,
        };
        if metadata.is_dir() || metadata.is_file() {
            let bytes = metadata.is_file().then_some(metadata.len());
            entries.push(Entry { name, bytes });
        }
    }
    entries.sort_by(|a, b| (a.bytes.is_some(), &a.name).cmp(&(b.bytes.is_some(), &b.name)));
    Ok(entries)
}

fn html(path: &Path, entries: &[Entry]) -> String {
    let mut title = "/".to_owned();
    for name in path.strip_prefix(".").unwrap_or(path) {
        title += &format!("{}/", escape(&name.to_string_lossy()));
    }
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<ul>\n"
    );
    if title != "/" {
        page += "<li><a href=\"../\">../</a>\n";
    }
    for Entry { name, bytes } in entries {
        let href = utf8_percent_encode(name, SEGMENT);
        let text = escape(name);
        page += &match bytes {
            None => format!("<li><a href=\"{href}/\">{text}/</a>\n"),
            Some(bytes) => format!(
                "<li><a href=\"{href}\">{text}</a> ({})\n",
                HumanBytes(*bytes)
            ),
        };
    }
    page + "</ul>\n</html>\n"
}

/// Escapes a name as plain text in HTML.
fn escape(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
