//! Requests for the files of a small folder: paths, ranges, conditions and codings, well-formed or not.
//!
//! A request goes to `ServeFolder`, without a connection. Checked of the response:
//!
//! * The status is one that the documentation names.
//! * The body is the bytes of the file that the path names, of the announced range and no others. The path is resolved
//!   here by rules of their own: what they do not find is not served. Nothing comes from outside of the folder.
//! * A part has the range that the request asks for, and only an `If-Range` of this version allows it. 304 and 412 come
//!   only after a condition, and exactly where a single well-formed condition requires it.
//! * Another coding comes only if the client accepts it and the original is there.
//! * A HEAD has no body, and the fields of the GET.

use arbitrary::Arbitrary;
use bytes::Bytes;
use hangup::serve::{FileBody, FolderResponse, ServeFolder};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use tokio::runtime::{Builder, Runtime};

/// A request, and how the folder is served.
#[derive(Arbitrary, Debug)]
pub(crate) struct Input {
    method: Verb,
    path: Vec<Piece>,
    query: Option<String>,
    fields: Vec<Field>,
    precompressed: bool,
    index: bool,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Verb {
    Get,
    Head,
    Post,
}

#[derive(Arbitrary, Debug)]
enum Piece {
    /// One of [`NAMES`].
    Name(u8),
    /// The same, each byte percent-encoded.
    Encoded(u8),
    Slash,
    Dot,
    Parent,
    EncodedParent,
    EncodedSlash,
    Text(String),
    Byte(u8),
}

#[derive(Arbitrary, Debug)]
enum Field {
    Range(Ends, bool),
    RawRange(Vec<u8>),
    /// A condition, and what it says of the file's version.
    Condition(Condition, Version),
    RawCondition(Condition, Vec<u8>),
    Codings(Vec<(u8, u16)>),
    RawCodings(Vec<u8>),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Ends {
    Both(u32, u32),
    First(u32),
    Suffix(u32),
    Two(u16, u16),
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Condition {
    Match,
    NoneMatch,
    ModifiedSince,
    UnmodifiedSince,
    Range,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Version {
    Tag,
    WeakTag,
    OtherTag,
    Any,
    Date,
    Before,
    After,
}

const NAMES: [&str; 18] = [
    "a.txt",
    "empty",
    "big",
    "sub",
    "index.html",
    "page.js",
    "page.js.br",
    "page.js.gz",
    "page.js.zst",
    "left.js",
    "left.js.br",
    "out",
    "outside",
    "loop",
    "in",
    "pipe",
    "secret",
    "a b%",
];

const SECRET: &[u8] = b"SECRET: outside of the folder";
/// Whole seconds: what HTTP can say of it is the time itself.
const MODIFIED: u64 = 784_111_777;
const CODINGS: [(&str, &str); 3] = [("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")];

/// The folder, and its files by their paths.
struct Folder {
    path: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    runtime: Runtime,
}

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::new);

impl Folder {
    fn new() -> Self {
        let parent = std::env::temp_dir().join(format!("hangup-fuzz-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&parent);
        let path = parent.join("folder");
        fs::create_dir_all(path.join("sub")).unwrap();
        fs::create_dir_all(path.join("empty-sub")).unwrap();
        fs::create_dir_all(parent.join("folder-beside")).unwrap();
        fs::write(parent.join("secret"), SECRET).unwrap();
        fs::write(parent.join("folder-beside/secret"), SECRET).unwrap();
        let mut files = BTreeMap::new();
        let contents = [
            ("a.txt", 20),
            ("a b%", 11),
            ("empty", 0),
            // More than one read of the body.
            ("big", 150_000),
            ("index.html", 33),
            ("page.js", 70),
            ("page.js.br", 40),
            ("page.js.gz", 50),
            ("page.js.zst", 45),
            ("left.js.br", 5),
            ("sub/index.html", 21),
            ("sub/index.html.gz", 12),
            ("sub/a.txt", 19),
        ];
        for (seed, (name, length)) in contents.into_iter().enumerate() {
            let content: Vec<u8> = (0..length).map(|at| (at * 7 + seed * 31) as u8).collect();
            fs::write(path.join(name), &content).unwrap();
            let file = fs::File::options()
                .write(true)
                .open(path.join(name))
                .unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED))
                .unwrap();
            files.insert(name.to_owned(), content);
        }
        symlink("a.txt", path.join("in")).unwrap();
        files.insert("in".to_owned(), files["a.txt"].clone());
        symlink("../secret", path.join("out")).unwrap();
        symlink(&parent, path.join("outside")).unwrap();
        symlink("loop", path.join("loop")).unwrap();
        let pipe = Command::new("mkfifo").arg(path.join("pipe")).status();
        assert!(pipe.unwrap().success());
        Self {
            path,
            files,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// The file that a request's path names.
    fn find(&self, path: &str, index: bool) -> Option<String> {
        let mut names = Vec::new();
        let mut is_directory = false;
        for segment in path.split('/').skip(1) {
            let name = decode(segment)?;
            is_directory = name.is_empty() || name == ".";
            match name {
                _ if is_directory => {}
                name if name == ".." || name.contains(['/', '\0']) => return None,
                name => names.push(name),
            }
        }
        let name = names.join("/");
        match is_directory {
            false => self.files.contains_key(&name).then_some(name),
            true if !index => None,
            true => {
                names.push("index.html".to_owned());
                let name = names.join("/");
                self.files.contains_key(&name).then_some(name)
            }
        }
    }
}

/// Percent-decoded, or `None` if no name of a file here has these bytes.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digits = match (first, after) {
            (b'%', [high, low, ..]) => (*high as char)
                .to_digit(16)
                .zip((*low as char).to_digit(16)),
            _ => None,
        };
        match digits {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            None => bytes.push(*first),
        }
    }
    // A dot with encoded or plain letters is the same dot. Other texts are no names here.
    String::from_utf8(bytes).ok()
}

impl Piece {
    fn push(&self, path: &mut Vec<u8>) {
        match self {
            Self::Name(index) => {
                path.extend(name(*index).replace('%', "%25").replace(' ', "%20").bytes())
            }
            Self::Encoded(index) => {
                let encoded = name(*index).bytes().map(|byte| format!("%{byte:02x}"));
                path.extend(encoded.collect::<String>().bytes());
            }
            Self::Slash => path.push(b'/'),
            Self::Dot => path.push(b'.'),
            Self::Parent => path.extend(b".."),
            Self::EncodedParent => path.extend(b"%2e%2E"),
            Self::EncodedSlash => path.extend(b"%2f"),
            Self::Text(text) => path.extend(text.bytes()),
            Self::Byte(byte) => path.extend(format!("%{byte:02X}").bytes()),
        }
    }
}

fn name(index: u8) -> &'static str {
    NAMES[usize::from(index) % NAMES.len()]
}

impl Ends {
    fn text(self) -> String {
        match self {
            Self::Both(first, last) => format!("{first}-{last}"),
            Self::First(first) => format!("{first}-"),
            Self::Suffix(length) => format!("-{length}"),
            Self::Two(first, second) => format!("{first}-{first},{second}-{second}"),
        }
    }

    /// The part of a file of `length` bytes: `None` is the whole, `Some(None)` no part that there is.
    fn part(self, length: usize) -> Option<Option<(usize, usize)>> {
        if length == 0 {
            return None;
        }
        let (first, end) = match self {
            Self::Both(first, last) if first > last => return None,
            Self::Both(first, last) => (first as usize, length.min(last as usize + 1)),
            Self::First(first) => (first as usize, length),
            Self::Suffix(suffix) => (length.saturating_sub(suffix as usize), length),
            Self::Two(..) => return None,
        };
        Some((first < end).then_some((first, end)))
    }
}

impl Condition {
    fn name(self) -> HeaderName {
        match self {
            Self::Match => IF_MATCH,
            Self::NoneMatch => IF_NONE_MATCH,
            Self::ModifiedSince => IF_MODIFIED_SINCE,
            Self::UnmodifiedSince => IF_UNMODIFIED_SINCE,
            Self::Range => IF_RANGE,
        }
    }
}

impl Version {
    fn text(self, length: usize) -> String {
        let tag = tag(length, None);
        let date = |seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            httpdate::fmt_http_date(time)
        };
        match self {
            Self::Tag => tag,
            Self::WeakTag => format!("W/{tag}"),
            Self::OtherTag => "\"other\"".to_owned(),
            Self::Any => "*".to_owned(),
            Self::Date => date(MODIFIED),
            Self::Before => date(MODIFIED - 1),
            Self::After => date(MODIFIED + 1),
        }
    }

    fn is_date(self) -> bool {
        matches!(self, Self::Date | Self::Before | Self::After)
    }
}

/// The entity tag of a file with the time of all files here: each coding of a file has its own.
fn tag(length: usize, coding: Option<&str>) -> String {
    let coding = coding.map_or_else(String::new, |coding| format!("-{coding}"));
    let modified = u128::from(MODIFIED) * 1_000_000_000;
    format!("\"{modified:x}-{length:x}{coding}\"")
}

/// What a field says, as a client would have meant it.
#[derive(Default)]
struct Meant {
    ranges: Vec<Option<Ends>>,
    conditions: Vec<(Condition, Option<Version>)>,
    accepts: bool,
}

fn fields(input: &Input, length: usize) -> (HeaderMap, Meant) {
    let mut headers = HeaderMap::new();
    let mut meant = Meant::default();
    for field in input.fields.iter().take(6) {
        let (name, value) = match field {
            Field::Range(ends, capitals) => {
                let unit = if *capitals { "Bytes" } else { "bytes" };
                meant.ranges.push(Some(*ends));
                (RANGE, format!("{unit}={}", ends.text()).into_bytes())
            }
            Field::RawRange(value) => (RANGE, value.clone()),
            Field::Condition(condition, version) => {
                meant.conditions.push((*condition, Some(*version)));
                (condition.name(), version.text(length).into_bytes())
            }
            Field::RawCondition(condition, value) => (condition.name(), value.clone()),
            Field::Codings(codings) => {
                let codings = codings.iter().map(|(coding, weight)| {
                    let names = ["br", "zstd", "gzip", "*", "identity", "GZIP"];
                    let name = names[usize::from(*coding) % names.len()];
                    format!("{name};q={}", f32::from(weight % 1100) / 1000.0)
                });
                (
                    ACCEPT_ENCODING,
                    codings.collect::<Vec<_>>().join(", ").into_bytes(),
                )
            }
            Field::RawCodings(value) => (ACCEPT_ENCODING, value.clone()),
        };
        let Ok(value) = HeaderValue::from_bytes(&value) else {
            if let Field::Range(..) | Field::Condition(..) = field {
                unreachable!("these are made of visible characters");
            }
            continue;
        };
        match field {
            Field::RawRange(_) => meant.ranges.push(None),
            Field::RawCondition(condition, _) => meant.conditions.push((*condition, None)),
            _ => {}
        }
        meant.accepts |= name == ACCEPT_ENCODING;
        headers.append(name, value);
    }
    (headers, meant)
}

impl Meant {
    fn has(&self, condition: Condition) -> bool {
        self.conditions.iter().any(|(name, _)| *name == condition)
    }

    /// The status in place of the file, if the conditions are few and well-formed enough to be sure.
    fn instead(&self) -> Option<Option<StatusCode>> {
        let others = self
            .conditions
            .iter()
            .filter(|(name, _)| *name != Condition::Range);
        let others: Vec<_> = others.collect();
        let (condition, version) = match others[..] {
            [] => return Some(None),
            [(condition, Some(version))] => (*condition, *version),
            _ => return None,
        };
        let is_tagged = matches!(condition, Condition::Match | Condition::NoneMatch);
        if is_tagged == version.is_date() {
            // A date where a tag belongs, or the other way round.
            return match condition {
                Condition::Match => Some(Some(StatusCode::PRECONDITION_FAILED)),
                _ => Some(None),
            };
        }
        let is_true = match condition {
            Condition::Match => matches!(version, Version::Tag | Version::Any),
            Condition::NoneMatch => version == Version::OtherTag,
            Condition::ModifiedSince => version == Version::Before,
            Condition::UnmodifiedSince => version != Version::Before,
            Condition::Range => unreachable!("left out"),
        };
        let status = match condition {
            Condition::Match | Condition::UnmodifiedSince => StatusCode::PRECONDITION_FAILED,
            _ => StatusCode::NOT_MODIFIED,
        };
        Some((!is_true).then_some(status))
    }

    /// Whether `If-Range` allows a part, if that is sure.
    fn allows_part(&self) -> Option<bool> {
        let mut versions = self
            .conditions
            .iter()
            .filter(|(name, _)| *name == Condition::Range);
        match (versions.next(), versions.next()) {
            (None, _) => Some(true),
            (Some((_, Some(version))), None) => {
                Some(matches!(version, Version::Tag | Version::Date))
            }
            (Some((_, None)), None) => None,
            (Some(_), Some(_)) => Some(false),
        }
    }
}

fn collect(mut body: FileBody) -> Vec<u8> {
    let announced = body.size_hint().exact();
    let mut bytes = Vec::new();
    FOLDER.runtime.block_on(async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let data: Bytes = frame.unwrap().into_data().unwrap();
            bytes.extend(data);
        }
    });
    assert_eq!(announced, Some(bytes.len() as u64));
    bytes
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<usize> {
    headers.get(name)?.to_str().unwrap().parse().ok()
}

/// `bytes 0-9/20`.
fn content_range(headers: &HeaderMap) -> (usize, usize, usize) {
    let value = headers[CONTENT_RANGE].to_str().unwrap();
    let (range, length) = value
        .strip_prefix("bytes ")
        .unwrap()
        .split_once('/')
        .unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let [first, last, length] = [first, last, length].map(|number| number.parse().unwrap());
    (first, last + 1, length)
}

fn ask(input: &Input, request: &Request<()>) -> Response<FileBody> {
    let folder = ServeFolder::open(&FOLDER.path).unwrap();
    let index = input.index.then(|| PathBuf::from("index.html"));
    let folder = folder.precompressed(input.precompressed).index(index);
    match FOLDER.runtime.block_on(folder.get(request)) {
        FolderResponse::Response(response) => response,
        FolderResponse::Directory(path) => {
            assert!(FOLDER.path.join(path).is_dir());
            let mut response = Response::new(FileBody::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        other => unreachable!("{other:?}"),
    }
}

fn check(input: &Input, asked: &Request<()>, response: Response<FileBody>) {
    let (method, path) = (asked.method(), asked.uri().path());
    let (parts, body) = response.into_parts();
    let (status, headers) = (parts.status, parts.headers);
    let body = collect(body);
    assert!(
        !body.windows(6).any(|bytes| bytes == b"SECRET"),
        "from outside"
    );
    if method != Method::GET && method != Method::HEAD {
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        return;
    }
    let found = FOLDER.find(path, input.index);
    let Some(original) = found else {
        match status {
            StatusCode::PERMANENT_REDIRECT => {
                let location = headers[LOCATION].to_str().unwrap();
                let path = location.split('?').next().unwrap();
                assert!(path.starts_with('/') && path.ends_with('/'), "{location}");
                assert!(!path.starts_with("//"), "to another host: {location}");
            }
            StatusCode::NOT_FOUND => {}
            // A redirect with a query that no field may have.
            StatusCode::BAD_REQUEST => assert!(asked.uri().query().is_some()),
            status => panic!("{status} for {path:?}, which is no file"),
        }
        return;
    };
    let coding = headers
        .get(CONTENT_ENCODING)
        .map(|coding| coding.to_str().unwrap());
    let length = FOLDER.files[&original].len();
    let (_, meant) = fields(input, length);
    let name = match coding {
        None => original,
        Some(coding) => {
            assert!(input.precompressed && meant.accepts);
            let (_, suffix) = CODINGS.iter().find(|(name, _)| *name == coding).unwrap();
            format!("{original}{suffix}")
        }
    };
    let content = &FOLDER.files[&name];
    let mut has_range = !meant.ranges.is_empty() && *method == Method::GET;
    // What the conditions say of the original, a coding's version is another one.
    let sure = !input.precompressed;
    if let Some(instead) = meant.instead().filter(|_| sure) {
        let got = Some(status);
        let is_instead = matches!(
            status,
            StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED
        );
        assert_eq!(
            got.filter(|_| is_instead),
            instead,
            "{:?}",
            meant.conditions
        );
    }
    if let Some(allows) = meant.allows_part().filter(|_| sure) {
        has_range &= allows;
    }
    let expected: &[u8] = match status {
        StatusCode::OK => {
            if let ([Some(ends)], true, true) = (&meant.ranges[..], sure, has_range)
                && meant.allows_part() == Some(true)
            {
                assert_eq!(ends.part(content.len()), None, "a range was ignored");
            }
            content
        }
        StatusCode::PARTIAL_CONTENT => {
            assert!(has_range);
            let (first, end, length) = content_range(&headers);
            assert_eq!(length, content.len());
            assert!(first < end);
            if let [Some(ends)] = meant.ranges[..] {
                assert_eq!(ends.part(length), Some(Some((first, end))));
            }
            assert_eq!(meant.ranges.len(), 1, "several fields are none");
            &content[first..end]
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            assert!(has_range);
            let range = headers[CONTENT_RANGE].to_str().unwrap();
            let length = range.strip_prefix("bytes */").unwrap().parse().unwrap();
            // The response does not say which coding it would have had.
            let mut codings = vec![""];
            codings.extend(CODINGS.iter().map(|(_, suffix)| *suffix).filter(|_| !sure));
            let names = codings.iter().map(|suffix| format!("{name}{suffix}"));
            let files = names.filter_map(|name| FOLDER.files.get(&name));
            assert!(files.into_iter().any(|file| file.len() == length));
            if let [Some(ends)] = meant.ranges[..] {
                assert_eq!(ends.part(length), Some(None));
            }
            return;
        }
        StatusCode::NOT_MODIFIED => {
            assert!(meant.has(Condition::NoneMatch) || meant.has(Condition::ModifiedSince));
            assert!(body.is_empty());
            return;
        }
        StatusCode::PRECONDITION_FAILED => {
            assert!(meant.has(Condition::Match) || meant.has(Condition::UnmodifiedSince));
            return;
        }
        status => panic!("{status} for {name:?}"),
    };
    assert_eq!(number(&headers, CONTENT_LENGTH), Some(expected.len()));
    match *method == Method::GET {
        true => assert!(body == expected, "{} bytes", body.len()),
        false => assert!(body.is_empty()),
    }
    let tag = tag(content.len(), coding);
    assert_eq!(headers[ETAG], tag.as_str());
    assert!(headers.contains_key(LAST_MODIFIED));
}

/// Asks, and checks the response.
pub(crate) fn run(input: &Input) {
    let mut uri = b"/".to_vec();
    for piece in input.path.iter().take(12) {
        piece.push(&mut uri);
    }
    if let Some(query) = &input.query {
        uri.push(b'?');
        uri.extend(query.bytes());
    }
    let method = match input.method {
        Verb::Get => Method::GET,
        Verb::Head => Method::HEAD,
        Verb::Post => Method::POST,
    };
    let Ok(uri) = http::Uri::try_from(uri) else {
        return;
    };
    let length = FOLDER
        .find(uri.path(), input.index)
        .map_or(0, |name| FOLDER.files[&name].len());
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    (*request.headers_mut(), _) = fields(input, length);
    let response = ask(input, &request);
    check(input, &request, response);
}
