//! The page that lists a directory without an index.html, or says that there is nothing.

use crate::files::Root;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use cap_std::fs::Dir;
use indicatif::HumanBytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// What is encoded in a name to make it one segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Answers for a path at which there is no file.
pub(crate) async fn listing(State(root): State<Root>, uri: Uri) -> Response {
    let Some(path) = directory(uri.path()) else {
        return not_found();
    };
    match root.ask(move |dir| page(dir, &path)).await {
        Ok(page) => Html(page).into_response(),
        Err(error) => match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput => not_found(),
            _ => {
                note!("cannot list a directory: {error}");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "cannot list this directory\n",
                )
                    .into_response()
            }
        },
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

/// The directory that a URL's path names. `None` unless it ends with a slash, without which the links
/// of the page would lead elsewhere, and for a path that has anything but names in it.
fn directory(path: &str) -> Option<PathBuf> {
    let path = path.strip_suffix('/')?.trim_start_matches('/');
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let path = Path::new(path.as_ref());
    let only_names = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    // Joined to ".", no names at all are the root.
    only_names.then(|| Path::new(".").join(path))
}

struct Entry {
    name: String,
    /// `None` for a directory.
    bytes: Option<u64>,
}

fn entries(dir: &Dir) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in dir.entries()? {
        // A name that is not UTF-8 has no URL here. What a symbolic link outside of the root leads
        // to, or what was removed meanwhile, has no metadata.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let Ok(metadata) = dir.metadata(&name) else {
            continue;
        };
        if metadata.is_dir() || metadata.is_file() {
            let bytes = metadata.is_file().then_some(metadata.len());
            entries.push(Entry { name, bytes });
        }
    }
    entries.sort_by(|a, b| (a.bytes.is_some(), &a.name).cmp(&(b.bytes.is_some(), &b.name)));
    Ok(entries)
}

fn page(root: &Dir, path: &Path) -> io::Result<String> {
    let entries = entries(&root.open_dir(path)?)?;
    let mut title = String::from("/");
    for name in path.strip_prefix(".").unwrap_or(path) {
        title += &escape(&name.to_string_lossy());
        title.push('/');
    }
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n"
    );
    if title != "/" {
        page += "<li><a href=\"../\">../</a>\n";
    }
    for Entry { name, bytes } in entries {
        let href = utf8_percent_encode(&name, SEGMENT);
        let text = escape(&name);
        // To write to a String cannot fail.
        let _ = match bytes {
            None => writeln!(page, "<li><a href=\"{href}/\">{text}/</a>"),
            Some(bytes) => writeln!(
                page,
                "<li><a href=\"{href}\">{text}</a> ({})",
                HumanBytes(bytes)
            ),
        };
    }
    page += "</ul>\n</html>\n";
    Ok(page)
}

/// Escapes a name as plain text in HTML.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            char => escaped.push(char),
        }
    }
    escaped
}
