//! The body of a file's response.

use super::place::Place;
use super::placeholder::Placeholder;
use super::polling::Polling;
use super::slot::Answer;
use super::source::Source;
use crate::transfer::page_cache;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// A file of up to this length is read, and leaves with its head in one write, which is cheaper than a separate
/// sendfile(2). It is also the most that one read takes.
pub(super) const PART: usize = 64 << 10;

/// The most that the first read takes on HTTP/2. hyper reads it before the client has opened the stream's window, which it
/// may never do. Each later read takes as much as the client has taken before, up to [`PART`].
const FIRST_PART: u64 = 16 << 10;

/// A file, or a part of it, as the body of a response: made by [`file`](super::file) and
/// [`ServeFolder`](super::ServeFolder).
///
/// | | how the bytes reach the socket |
/// |---|---|
/// | Linux, plain HTTP/1.1, a file of more than 64 KiB, the body unchanged | sendfile(2): the bytes never enter the program |
/// | TLS, HTTP/2, another system, a shorter file | read, 64 KiB at a time |
/// | a middleware that compresses, collects or otherwise reads the body | read, 64 KiB at a time |
///
/// Reading takes bytes that are in the page cache directly (preadv2(2) with `RWF_NOWAIT`), and others on the runtime's
/// threads for blocking work.
///
/// The length is fixed when the response is made. A file that is cut shorter while it is sent ends the body with an
/// error, and the connection with it, so the client notices. Bytes that are added later are not sent.
///
/// The kernel sends from the page cache until the client has acknowledged the bytes. If a file is cut shorter when all of it is on
/// its way, the client may get zeros in the place of bytes behind the cut, and no error. So replace files by renaming new ones
/// over them, or use [`read`](Self::read), which copies the bytes.
///
/// A middleware that keeps the length of a body and changes its bytes is noticed too late to read the file instead: the
/// connection ends with an error. A middleware that passes the bytes on as they are and looks at them, for a checksum or a cache,
/// is not noticed: it sees zeros, and the client gets the file. Use [`read`](Self::read) below both.
///
/// ```
/// use hangup::serve::file;
/// use http_body::Body;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("hangup-file-body-{}", std::process::id()));
/// std::fs::write(&path, "0123456789")?;
/// let request = http::Request::builder().header("range", "bytes=2-5").body(()).unwrap();
/// let response = file(&request, path.as_path()).await;
/// assert_eq!(response.status(), 206);
/// assert_eq!(response.headers()["content-range"], "bytes 2-5/10");
/// assert_eq!(response.body().size_hint().exact(), Some(4));
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
pub struct FileBody {
    content: Content,
}

enum Content {
    /// Empty, or a message.
    Bytes(Bytes),
    File(FilePart),
}

struct FilePart {
    file: Arc<File>,
    start: u64,
    at: u64,
    end: u64,
    /// The connection of `serve` for which the file is open.
    place: Option<Place>,
    way: Way,
}

/// How the file gets to the client.
enum Way {
    Unknown,
    /// The connection was asked whether it takes placeholders.
    Asked,
    Placeholders,
    Read(Option<JoinHandle<io::Result<Vec<u8>>>>),
}

impl FileBody {
    /// An empty body, for a response that the program makes itself beside those of [`file`](super::file): a redirect for
    /// instance.
    ///
    /// ```
    /// use hangup::serve::FileBody;
    /// use http_body::Body;
    ///
    /// let body = FileBody::empty();
    /// assert!(body.is_end_stream());
    /// assert_eq!(body.size_hint().exact(), Some(0));
    /// ```
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// The bytes `start..end` of the file. The kernel may send them to the connection of `place`; otherwise they are read.
    pub(super) fn part(file: Arc<File>, start: u64, end: u64, place: Option<Place>) -> Self {
        Self {
            content: Content::File(FilePart {
                file,
                start,
                at: start,
                end,
                place,
                way: Way::Unknown,
            }),
        }
    }

    /// Makes the file always be read, and never be sent by the kernel: for a middleware that changes the bytes of a body and
    /// keeps their number, or that looks at them while they pass.
    ///
    /// ```
    /// use axum::body::{Body, to_bytes};
    /// use hangup::serve::file;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("hangup-body-{}", std::process::id()));
    /// # std::fs::write(&path, "secret")?;
    /// let response = file(&http::Request::new(()), path.as_path()).await;
    /// let response = response.map(|body| Body::new(body.read()));
    /// let bytes = to_bytes(response.into_body(), 1 << 20).await?;
    /// let masked: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x20).collect(); // the same length
    /// assert_eq!(masked, b"SECRET");
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read(mut self) -> Self {
        if let Content::File(part) = &mut self.content {
            part.way = Way::Read(None);
        }
        self
    }
}

impl From<Bytes> for FileBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            content: Content::Bytes(bytes),
        }
    }
}

impl FilePart {
    fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The next bytes, which are placeholders if the kernel sends the file. It is not called when nothing is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            match &mut self.way {
                Way::Unknown => self.way = self.first_way(cx),
                Way::Asked => match self
                    .place
                    .as_ref()
                    .map(|to| to.connection().slot.answer(cx))
                {
                    Some(Answer::Wait) => return Poll::Pending,
                    Some(Answer::Placeholders) => self.way = Way::Placeholders,
                    Some(Answer::Read) | None => self.way = Way::Read(None),
                },
                Way::Placeholders => {
                    let placeholder = Placeholder::bytes(self.at - self.start, self.left());
                    self.at += placeholder.len() as u64;
                    return Poll::Ready(Ok(placeholder));
                }
                Way::Read(reading) => {
                    let taken = self.at - self.start;
                    let most = match &self.place {
                        Some(place) if !place.connection().slot.is_http1() => taken.max(FIRST_PART),
                        _ => u64::MAX,
                    };
                    let end = self.end.min(self.at.saturating_add(most));
                    let bytes = ready!(read(&self.file, self.at, end, reading, cx))?;
                    self.at += bytes.len() as u64;
                    return Poll::Ready(Ok(bytes));
                }
            }
        }
    }

    /// Asks the connection to send the file, if all of this holds: hyper polls the body for this connection, the rest is
    /// larger than one part, and the kernel can send from this file. Otherwise the file is read.
    fn first_way(&self, cx: &Context<'_>) -> Way {
        let connection = self.place.as_ref().map(Place::connection);
        let Some(connection) = connection.filter(|to| to.slot.is_open() && Polling::is_of(to))
        else {
            return Way::Read(None);
        };
        if self.left() <= PART as u64 || !can_be_sent(&self.file) {
            return Way::Read(None);
        }
        let source = Source::new(self.file.clone(), self.at, self.left());
        match connection.slot.ask(source, cx) {
            Answer::Read => Way::Read(None),
            Answer::Wait | Answer::Placeholders => Way::Asked,
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn can_be_sent(file: &File) -> bool {
    page_cache::is_known(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn can_be_sent(_: &File) -> bool {
    false
}

/// Reads what comes next: from the page cache at once, from the disk elsewhere.
fn read(
    file: &Arc<File>,
    at: u64,
    end: u64,
    reading: &mut Option<JoinHandle<io::Result<Vec<u8>>>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    let length = usize::try_from(end - at).map_or(PART, |left| left.min(PART));
    let bytes = loop {
        if let Some(task) = reading {
            let read = ready!(Pin::new(task).poll(cx));
            *reading = None;
            break read??;
        }
        match page_cache::read_cached(file, at, length)? {
            Some(bytes) => break bytes,
            None => {
                let file = file.clone();
                let task = tokio::task::spawn_blocking(move || page_cache::read(&file, at, length));
                *reading = Some(task);
            }
        }
    };
    Poll::Ready(match bytes.is_empty() {
        true => Err(io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("hangup: the file was cut to {at} bytes while it was sent"),
        )),
        false => Ok(bytes.into()),
    })
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        match &mut self.content {
            Content::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::File(part) => {
                let polled = part.poll(cx);
                if matches!(polled, Poll::Ready(Err(_))) {
                    part.at = part.end;
                }
                polled.map(|part| Some(part.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::File(part) => part.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(part) => part.left(),
        })
    }
}

impl Drop for FilePart {
    fn drop(&mut self) {
        if let (Way::Asked, Some(place)) = (&self.way, &self.place) {
            place.connection().slot.withdraw();
        }
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody")
            .field("left", &self.size_hint().exact())
            .finish_non_exhaustive()
    }
}
