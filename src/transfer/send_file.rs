//! Sends a file without copying it through the program.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use crate::stream::SocketWrite;
use crate::stream::{DirectIo, MonitoredStream, OwnedWriteHalf, WriteHalf};
use crate::transfer::page_cache;
use std::fs::{File, Metadata};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::Arc;
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback))))]
use tokio::io::AsyncWrite as SocketWrite;
use tokio::runtime::Handle;

#[cfg(unix)]
use std::os::fd::AsFd as AsFile;
#[cfg(windows)]
use std::os::windows::io::AsHandle as AsFile;

/// The most that one system call sends. A fast peer would otherwise occupy the worker thread for the whole file. 1 MiB
/// was as fast as 8 MiB in `cargo bench --bench send_file`.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
const CHUNK: usize = 1 << 20;

/// How much of an uncached file is read into the page cache at a time, on a blocking thread.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
const FILL: usize = 256 << 10;

/// How much is read at a time if the kernel does not send the file itself.
const BUFFER: usize = 128 << 10;

impl<S: DirectIo> MonitoredStream<S> {
    /// Sends a range of a file, and returns the number of bytes. It stops as soon as the stream closes.
    ///
    /// `file` is a [`std::fs::File`], a `tokio::fs::File`, or anything else with a descriptor. Its position is neither
    /// used nor moved, so any number of streams may send the same open file at a time.
    ///
    /// If the range has no end, it extends to the present end of the file. Files in /proc and /sys report a wrong
    /// length. Such a range sends what they contain.
    ///
    /// | file and system | how it is sent |
    /// |---|---|
    /// | a regular file on Linux, in the page cache | sendfile(2): the kernel moves the bytes into the socket, and the program does not read them |
    /// | the same, not in the page cache | a blocking thread reads 256 KiB into the page cache, then sendfile(2) |
    /// | a file system without `RWF_NOWAIT` (preadv2(2)), such as FUSE; a file in /proc or /sys | a blocking thread reads 128 KiB, then a write |
    /// | any file on another system | the same. Windows' `TransmitFile` needs overlapped I/O on a socket that belongs to the runtime |
    /// | a FIFO, a pipe, a socket | refused: they have no offsets. Use `tokio::io::copy` |
    ///
    /// # It does not wait for the disk
    ///
    /// A worker thread of the runtime sends only what is in the page cache. To find out, it probes one byte in each
    /// 128 KiB (`RWF_NOWAIT`, preadv2(2)). If the system has evicted single pages between two probes, the worker thread
    /// waits for them.
    ///
    /// # Errors
    ///
    /// * as a write: an error of the connection, or one that carries the [`CloseReason`](crate::CloseReason).
    ///   [`transfer`](crate::Monitor::transfer) reports how much was accepted and acknowledged;
    /// * [`InvalidInput`](ErrorKind::InvalidInput): the range ends before it starts, or `file` is a FIFO, a pipe or a
    ///   socket. On Linux also: the file was opened with `O_DIRECT`, and the range is not aligned (open(2));
    /// * [`UnexpectedEof`](ErrorKind::UnexpectedEof): the file is shorter than the range. If it was too short from the
    ///   beginning, nothing is sent. It may also be truncated while it is sent. The stream stays open;
    /// * an error of the file. The stream stays open, even if the error looks like one of a connection, such as a
    ///   timeout of NFS;
    /// * [`NotConnected`](ErrorKind::NotConnected): the file has to be read, and there is no current runtime.
    ///
    /// # Signals
    ///
    /// sendfile(2) on a closed connection raises SIGPIPE. Rust programs ignore that signal from their start. A program
    /// whose `main` is not written in Rust has to ignore it itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the range may have been sent. [`transfer`](crate::Monitor::transfer) reports how much
    /// was accepted. The file is unchanged.
    ///
    /// ```
    /// use hangup::MonitoredListener;
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("hangup-send-file-{}", std::process::id()));
    /// # std::fs::write(&path, "0123456789")?;
    /// let file = std::fs::File::open(&path)?;
    /// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
    /// let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut stream, _) = listener.accept().await?;
    ///
    /// assert_eq!(stream.send_file(&file, 2..).await?, 8);
    /// drop(stream);
    /// let mut received = String::new();
    /// client.read_to_string(&mut received).await?;
    /// assert_eq!(received, "23456789");
    /// # std::fs::remove_file(&path)
    /// # }
    /// ```
    pub async fn send_file<F: AsFile>(
        &mut self,
        file: &F,
        range: impl RangeBounds<u64>,
    ) -> io::Result<u64> {
        let part = Part::new(duplicate(file)?, &range)?;
        send_part(self, part).await
    }
}

impl<S: DirectIo> OwnedWriteHalf<S> {
    /// Sends a range of a file while the other half reads: see [`MonitoredStream::send_file`].
    ///
    /// One system call takes up to 1 MiB. Meanwhile the other half waits.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::send_file`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the range may have been sent.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("hangup-owned-half-{}", std::process::id()));
    /// # std::fs::write(&path, "0123456789")?;
    /// let file = std::fs::File::open(&path)?;
    /// let (ours, mut peer) = UnixStream::pair()?;
    /// let (mut reader, mut writer) = MonitoredStream::new(ours)?.into_split();
    ///
    /// peer.write_all(b"go").await?;
    /// let mut go = [0; 2];
    /// let (read, sent) = tokio::join!(reader.read_exact(&mut go), writer.send_file(&file, ..4));
    /// assert_eq!((read?, sent?), (2, 4));
    /// # std::fs::remove_file(&path)
    /// # }
    /// ```
    pub async fn send_file<F: AsFile>(
        &mut self,
        file: &F,
        range: impl RangeBounds<u64>,
    ) -> io::Result<u64> {
        let part = Part::new(duplicate(file)?, &range)?;
        send_part(self, part).await
    }
}

impl<S: DirectIo> WriteHalf<'_, S> {
    /// Sends a range of a file while the other half reads: see [`MonitoredStream::send_file`].
    ///
    /// One system call takes up to 1 MiB. Meanwhile the other half waits.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::send_file`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the range may have been sent.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::UnixStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("hangup-half-{}", std::process::id()));
    /// # std::fs::write(&path, "0123456789")?;
    /// let file = std::fs::File::open(&path)?;
    /// let (ours, mut peer) = UnixStream::pair()?;
    /// let mut stream = MonitoredStream::new(ours)?;
    /// let (mut reader, mut writer) = stream.split();
    ///
    /// peer.write_all(b"go").await?;
    /// let mut go = [0; 2];
    /// let (read, sent) = tokio::join!(reader.read_exact(&mut go), writer.send_file(&file, ..4));
    /// assert_eq!((read?, sent?), (2, 4));
    /// # std::fs::remove_file(&path)
    /// # }
    /// ```
    pub async fn send_file<F: AsFile>(
        &mut self,
        file: &F,
        range: impl RangeBounds<u64>,
    ) -> io::Result<u64> {
        let part = Part::new(duplicate(file)?, &range)?;
        send_part(self, part).await
    }
}

async fn send_part<S: SocketWrite + Unpin>(stream: &mut S, mut part: Part) -> io::Result<u64> {
    let start = part.at;
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
    send_by_kernel(stream, &mut part).await?;
    while part.has_more() {
        let buffer = part.read().await?;
        if buffer.is_empty() {
            part.ended()?;
            break;
        }
        let mut rest = &*buffer;
        while !rest.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, rest)).await?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            part.at += written as u64;
            rest = &rest[written..];
        }
    }
    Ok(part.at - start)
}

/// Sends the part with sendfile(2). It returns early if the kernel does not support that for this file.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
async fn send_by_kernel<S: SocketWrite>(stream: &mut S, part: &mut Part) -> io::Result<()> {
    let Some(end) = part.end.filter(|_| page_cache::is_known(&part.file)) else {
        return Ok(());
    };
    // Bytes before this offset can be sent without waiting for the disk.
    let mut cached = part.at;
    while part.at < end {
        if cached <= part.at {
            cached = part.cache(end).await?;
        }
        let length = usize::try_from(cached.min(end) - part.at).unwrap_or(CHUNK);
        let Some(sent) = send_cached(stream, part, length.min(CHUNK)).await? else {
            return Ok(());
        };
        if sent == 0 {
            part.ended()?;
            return Ok(());
        }
        part.at += sent as u64;
    }
    Ok(())
}

/// Sends as much as fits into the socket. `None` if the kernel does not support that for this file, or if the file has
/// an error, which reading the file then returns.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
async fn send_cached<S: SocketWrite>(
    stream: &mut S,
    part: &Part,
    length: usize,
) -> io::Result<Option<usize>> {
    let mut is_of_the_file = false;
    let sent = poll_fn(|cx| {
        stream.poll_write_with(cx, |socket| {
            let mut at = part.at;
            let sent = rustix::io::retry_on_intr(|| {
                rustix::fs::sendfile(socket, &part.file, Some(&mut at), length)
            });
            match sent.map_err(io::Error::from) {
                // Only an error of the connection may close the stream.
                Err(error)
                    if error.kind() != ErrorKind::WouldBlock
                        && !is_of_the_connection(socket, &error) =>
                {
                    is_of_the_file = true;
                    Ok(0)
                }
                sent => sent,
            }
        })
    })
    .await?;
    Ok((!is_of_the_file).then_some(sent))
}

/// Whether an error of sendfile(2) comes from the connection. A file on a network file system can return the same error
/// codes. A failed connection is closed in both directions.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
fn is_of_the_connection(socket: &impl std::os::fd::AsFd, error: &io::Error) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    if error.kind() == ErrorKind::BrokenPipe {
        return true;
    }
    let mut polled = [PollFd::new(socket, PollFlags::HUP)];
    let over = poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().contains(PollFlags::HUP);
    over && crate::errors::is_connection_error(error)
}

#[cfg(unix)]
fn duplicate(file: &impl AsFile) -> io::Result<File> {
    Ok(file.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate(file: &impl AsFile) -> io::Result<File> {
    Ok(file.as_handle().try_clone_to_owned()?.into())
}

/// The part of a file that is left to send.
struct Part {
    file: Arc<File>,
    at: u64,
    /// `None`: to the end of the file, wherever that is.
    end: Option<u64>,
}

impl Part {
    fn new(file: File, range: &impl RangeBounds<u64>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        refuse_streams(&metadata)?;
        let at = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(start) => start.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.checked_add(1).map(Some),
            Bound::Excluded(end) => Some(Some(*end)),
            Bound::Unbounded if has_unknown_length(&metadata) => Some(None),
            Bound::Unbounded => Some(Some(metadata.len().max(at.unwrap_or(0)))),
        };
        let (Some(at), Some(end)) = (at, end) else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "hangup: the range ends beyond the largest possible offset",
            ));
        };
        let part = Self {
            file: Arc::new(file),
            at,
            end,
        };
        let Some(end) = end else { return Ok(part) };
        if end < at {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("hangup: the range {at}..{end} ends before it starts"),
            ));
        }
        // A device reports no length, so only reading shows its end.
        if metadata.is_file() && metadata.len() < end && !has_unknown_length(&metadata) {
            return Err(part.shorter(metadata.len()));
        }
        Ok(part)
    }

    fn has_more(&self) -> bool {
        self.end.is_none_or(|end| self.at < end)
    }

    /// Brings the next bytes into the page cache, and returns the offset behind them.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
    async fn cache(&self, end: u64) -> io::Result<u64> {
        let rest = usize::try_from(end - self.at).unwrap_or(usize::MAX);
        let cached = page_cache::cached(&self.file, self.at, rest.min(CHUNK));
        match cached.map_err(|error| explain(&self.file, error))? {
            0 => {
                let at = self.at;
                self.blocking(move |file| page_cache::fill(file, at, rest.min(FILL)))
                    .await
            }
            cached => Ok(self.at + cached as u64),
        }
    }

    /// Reads the next bytes.
    async fn read(&self) -> io::Result<Vec<u8>> {
        let rest = self.end.map_or(u64::MAX, |end| end - self.at);
        let length = usize::try_from(rest).map_or(BUFFER, |rest| rest.min(BUFFER));
        let at = self.at;
        self.blocking(move |file| page_cache::read(file, at, length))
            .await
    }

    /// Calls `read` on a blocking thread, which may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!("hangup: reading the file needs a runtime: {error}"),
            )
        })?;
        let file = self.file.clone();
        let read = move || read(&file).map_err(|error| explain(&file, error));
        runtime.spawn_blocking(read).await?
    }

    /// The file ended at the present offset. That is an error if the range has an end.
    fn ended(&self) -> io::Result<()> {
        match self.end {
            Some(_) => Err(self.shorter(self.at)),
            None => Ok(()),
        }
    }

    fn shorter(&self, length: u64) -> io::Error {
        let (at, end) = (self.at, self.end.unwrap_or(u64::MAX));
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("hangup: the file ends at {length}, before the end of the range {at}..{end}"),
        )
    }
}

/// Explains `error` if the way in which `file` was opened is the cause.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn explain(file: &File, error: io::Error) -> io::Error {
    use rustix::fs::{OFlags, fcntl_getfl};
    let is_direct = || fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::DIRECT));
    match error.raw_os_error() {
        // O_DIRECT requires aligned offsets, lengths and buffers (open(2)).
        Some(libc::EINVAL) if is_direct() => io::Error::new(
            ErrorKind::InvalidInput,
            "hangup: cannot send the file: it was opened with O_DIRECT; open it without that flag",
        ),
        _ => error,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn explain(_: &File, error: io::Error) -> io::Error {
    error
}

/// Refuses files without offsets. They cannot be sent in ranges, nor to several streams.
#[cfg(unix)]
fn refuse_streams(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if !kind.is_fifo() && !kind.is_socket() {
        return Ok(());
    }
    let what = if kind.is_fifo() { "a pipe" } else { "a socket" };
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("hangup: cannot send a range of {what}: copy it with `tokio::io::copy` instead"),
    ))
}

#[cfg(windows)]
fn refuse_streams(_: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Whether the length that a file reports may be wrong: files in /proc report 0, files in /sys a page. Such files are
/// generated when they are read, so they have no blocks on a disk. (A file that is one hole has none either. Its length
/// is right, and reading it gives the same result.)
#[cfg(unix)]
fn has_unknown_length(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const LARGEST_PAGE: u64 = 64 << 10;
    metadata.is_file() && metadata.blocks() == 0 && metadata.len() <= LARGEST_PAGE
}

#[cfg(windows)]
fn has_unknown_length(_: &Metadata) -> bool {
    false
}
