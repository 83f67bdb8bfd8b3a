//! The slot with a socket that records what it is given.

use super::*;
use crate::serve::file::placeholder::REGION;

fn source(length: u64) -> Source {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CHANGELOG.md");
    // From here on it is in the page cache.
    std::fs::read(path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    Source::new(std::sync::Arc::new(file), 0, length)
}

#[test]
fn only_the_files_own_placeholders_in_order_are_expected() {
    let source = source(300);
    let whole = Placeholder::bytes(0, 300);
    let slice = |range: std::ops::Range<usize>| IoSlice::new(&whole[range]);
    assert_eq!(expected(&[slice(0..300)], &source).unwrap(), 300);
    assert_eq!(
        expected(&[slice(0..100), slice(100..300)], &source).unwrap(),
        300
    );
    assert_eq!(
        expected(&[slice(0..300), IoSlice::new(b"HTTP")], &source).unwrap(),
        300
    );
    for (bufs, what) in [
        (vec![slice(1..300)], "the first byte is missing"),
        (vec![slice(100..300), slice(0..100)], "another order"),
        (vec![slice(0..100), slice(0..200)], "a part comes twice"),
        (
            vec![slice(0..100), IoSlice::new(b"x")],
            "something else between",
        ),
        (
            vec![IoSlice::new(b"x"), slice(0..300)],
            "something else first",
        ),
        (vec![IoSlice::new(&[0; 300])], "a copy"),
    ] {
        assert!(expected(&bufs, &source).is_err(), "{what}");
    }
    let longer = Placeholder::bytes(0, 301);
    assert!(
        expected(&[IoSlice::new(&longer)], &source).is_err(),
        "more than the file"
    );
}

/// A socket that writes down what it is given.
struct Socket {
    calls: Vec<String>,
    /// How much one sendfile(2) takes.
    room: usize,
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            room: 200,
        }
    }
}

impl Socket {
    fn wrote(&mut self, how: &str, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.calls
            .push(format!("{how} {}", String::from_utf8_lossy(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }
}

impl tokio::io::AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl tokio::io::AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wrote("write", bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for Socket {
    const SENDS_FILES: bool = true;

    fn poll_write_more(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote("more", bytes)
    }

    fn poll_send_file(
        &mut self,
        _: &mut Context<'_>,
        _: &std::fs::File,
        at: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        self.calls.push(format!("file {at} {length}"));
        Poll::Ready(Ok(length.min(self.room)))
    }

    fn cork(&mut self, cork: bool) {
        self.calls.push(format!("cork {cork}"));
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n";

fn write(slot: &Slot, socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
    let cx = &mut Context::from_waker(Waker::noop());
    match slot.poll_write(socket, cx, &[IoSlice::new(bytes)]) {
        Poll::Ready(written) => written,
        Poll::Pending => panic!("it never waits"),
    }
}

/// A slot whose body was told to yield placeholders.
fn armed(socket: &mut Socket) -> Slot {
    let (slot, cx) = (Slot::default(), &Context::from_waker(Waker::noop()));
    assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
    assert_eq!(write(&slot, socket, HEAD.as_bytes()).unwrap(), HEAD.len());
    assert!(matches!(slot.answer(cx), Answer::Wait));
    slot.flushed();
    assert!(matches!(slot.answer(cx), Answer::Placeholders));
    slot
}

#[test]
fn the_file_takes_the_placeholders_place() {
    let mut socket = Socket::default();
    let slot = armed(&mut socket);
    let placeholder = Placeholder::bytes(0, 300);
    assert_eq!(write(&slot, &mut socket, &placeholder).unwrap(), 200);
    assert_eq!(write(&slot, &mut socket, &placeholder[200..]).unwrap(), 100);
    assert_eq!(write(&slot, &mut socket, b"the next response").unwrap(), 17);
    let head = format!("more {HEAD}");
    let calls = [
        &*head,
        "file 0 300",
        "file 200 100",
        "write the next response",
    ];
    assert_eq!(socket.calls, calls);
}

/// A file that takes several calls leaves in full packets.
#[test]
fn a_large_file_is_corked() {
    let mut file = tempfile::tempfile().unwrap();
    let length = REGION as u64 + 7;
    io::Write::write_all(&mut file, &vec![7; REGION + 7]).unwrap();
    let mut source = Source::new(std::sync::Arc::new(file), 0, length);
    let mut socket = Socket {
        room: REGION - 1,
        ..Socket::default()
    };
    let cx = &mut Context::from_waker(Waker::noop());
    while !source.is_sent() {
        let left = usize::try_from(source.left()).unwrap();
        assert!(matches!(
            source.poll_send(&mut socket, cx, left),
            Poll::Ready(Ok(_))
        ));
    }
    let last = REGION - 1;
    let calls = [
        "cork true".to_owned(),
        format!("file 0 {REGION}"),
        // The page cache was asked up to there.
        format!("file {last} 1"),
        format!("file {REGION} 7"),
        "cork false".to_owned(),
    ];
    assert_eq!(socket.calls, calls);
}

#[test]
fn nothing_else_takes_their_place() {
    let placeholder = Placeholder::bytes(0, 300);
    let wrong: [&[u8]; 4] = [
        b"other bytes",
        &[0; 300],
        &placeholder[1..],
        b"HTTP/1.1 200 OK",
    ];
    for bytes in wrong {
        let mut socket = Socket::default();
        let slot = armed(&mut socket);
        assert!(write(&slot, &mut socket, bytes).is_err());
        assert_eq!(socket.calls.len(), 1, "only the head is sent");
    }
    let (slot, mut socket) = (Slot::default(), Socket::default());
    assert!(
        write(&slot, &mut socket, &placeholder).is_err(),
        "nobody has asked"
    );
}

#[test]
fn a_body_that_does_not_fit_is_read() {
    let cx = &Context::from_waker(Waker::noop());
    for head in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n",
        "a body's end",
    ] {
        let (slot, mut socket) = (Slot::default(), Socket::default());
        assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
        write(&slot, &mut socket, head.as_bytes()).unwrap();
        slot.flushed();
        assert!(matches!(slot.answer(cx), Answer::Read), "{head}");
        assert_eq!(write(&slot, &mut socket, b"bytes").unwrap(), 5);
    }
    let slot = Slot::default();
    assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
    assert!(
        matches!(slot.ask(source(300), cx), Answer::Read),
        "one at a time"
    );
    slot.withdraw();
    assert!(matches!(slot.ask(source(300), cx), Answer::Wait));
}
