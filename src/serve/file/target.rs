//! From a request's path to a path below the folder.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Component, PathBuf};

/// The characters of a path segment that have to be encoded, and the one that a browser takes for a slash.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// A request's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Below the folder: normal components alone. The folder itself is ".".
    pub(super) path: PathBuf,
    /// Whether it ends in a slash, as the path of a directory does.
    pub(super) is_directory: bool,
}

impl Target {
    /// `None`: no file has this path. Empty segments and "." are left out; ".." is refused, which clients
    /// resolve themselves (RFC 3986, section 5.2.4).
    pub(super) fn new(path: &str) -> Option<Self> {
        let mut below = PathBuf::with_capacity(path.len());
        let mut is_directory = false;
        for segment in path.strip_prefix('/')?.split('/') {
            // It is borrowed if it has no escapes.
            let segment: Cow<'_, [u8]> = percent_decode_str(segment).into();
            is_directory = segment.is_empty() || *segment == *b".";
            if is_directory {
                continue;
            }
            below.push(name(&segment)?);
        }
        if below.as_os_str().is_empty() {
            below.push(".");
        }
        Some(Self {
            path: below,
            is_directory,
        })
    }

    /// The path as a directory's, relative to the request's, which ends in the name of the directory.
    pub(super) fn as_relative_directory(&self) -> String {
        let mut location = String::from("./");
        if let Some(name) = self.path.file_name() {
            location.extend(encode(name));
            location.push('/');
        }
        location
    }

    /// The path as a directory's: it begins with one slash, and never with a host.
    pub(super) fn as_directory(&self) -> String {
        let mut location = String::from("/");
        for component in self.path.components() {
            if let Component::Normal(name) = component {
                location.extend(encode(name));
                location.push('/');
            }
        }
        location
    }
}

/// The segment as the name of a file or a folder; `None` if it cannot be one.
#[cfg(unix)]
fn name(segment: &[u8]) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    let is_name = segment != b".." && !segment.iter().any(|byte| b"/\0".contains(byte));
    is_name.then(|| OsStr::from_bytes(segment))
}

/// The segment as the name of a file or a folder; `None` if it cannot be one.
#[cfg(not(unix))]
fn name(segment: &[u8]) -> Option<&OsStr> {
    use std::path::{Component, Path};
    if segment.iter().any(|byte| b"\0:*?\"<>|".contains(byte)) {
        return None;
    }
    let segment = std::str::from_utf8(segment).ok()?;
    let mut components = Path::new(segment).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) if name == segment => Some(name),
        _ => None,
    }
}

#[cfg(unix)]
fn encode(name: &OsStr) -> Vec<&str> {
    use std::os::unix::ffi::OsStrExt;
    percent_encoding::percent_encode(name.as_bytes(), SEGMENT).collect()
}

#[cfg(not(unix))]
fn encode(name: &OsStr) -> Vec<&str> {
    percent_encoding::utf8_percent_encode(name.to_str().unwrap_or_default(), SEGMENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Option<String> {
        Target::new(path).map(|target| target.path.to_string_lossy().into_owned())
    }

    #[test]
    fn paths_stay_below_the_folder() {
        for (target, expected) in [
            ("/", "."),
            ("//", "."),
            ("/a", "a"),
            ("/a/b.txt", "a/b.txt"),
            ("//a", "a"),
            ("/a//b", "a/b"),
            ("/./a/.", "a"),
            ("/a%20b", "a b"),
            ("/per%252fcent", "per%2fcent"),
            ("/...", "..."),
        ] {
            assert_eq!(path(target).as_deref(), Some(expected), "{target}");
        }
        for target in [
            "",
            "*",
            "a",
            "/..",
            "/../a",
            "/a/../b",
            "/%2e%2e/a",
            "/..%2fa",
            "/a%2fb",
            "/%2fetc",
            "/a%00",
            "/%00",
        ] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn directories() {
        for target in ["/", "/a/", "/a/.", "/a/%2e", "/a//", "/."] {
            assert!(Target::new(target).unwrap().is_directory, "{target}");
        }
        for target in ["/a", "/a/b", "/...", "/a/.b", "/%2f%2e"] {
            let target = Target::new(target);
            assert!(target.is_none_or(|target| !target.is_directory));
        }
    }

    #[test]
    fn relative_redirects() {
        for (target, location) in [
            ("/sub", "./sub/"),
            ("/a/b%20c", "./b%20c/"),
            ("//evil.example.com", "./evil.example.com/"),
            // It is no scheme.
            ("/a:b", "./a:b/"),
        ] {
            let relative = Target::new(target).map(|target| target.as_relative_directory());
            assert!(
                relative.is_none_or(|relative| relative == location),
                "{target}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_redirect_names_no_host() {
        for (target, location) in [
            ("/sub", "/sub/"),
            ("//evil.example.com", "/evil.example.com/"),
            ("/\\evil.example.com", "/%5Cevil.example.com/"),
            ("/%5cevil.example.com", "/%5Cevil.example.com/"),
            ("/a%0d%0ab", "/a%0D%0Ab/"),
            ("/%ff%3f", "/%FF%3F/"),
            ("/a b", "/a%20b/"),
        ] {
            assert_eq!(
                Target::new(target).unwrap().as_directory(),
                location,
                "{target}"
            );
        }
    }
}
