//! Sending a file without reading it.

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

/// The most that one call of the kernel's moves: a peer that takes it as fast as it comes would
/// otherwise keep the worker for the whole file. 1 MiB was as fast as 8 MiB in `cargo bench --bench
/// send_file`.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
const CHUNK: usize = 1 << 20;

/// How much of a cold file is read into the page cache at a time, away from the runtime's workers.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
const FILL: usize = 256 << 10;

/// What is read at a time where the kernel does not send by itself.
const BUFFER: usize = 128 << 10;

impl<S: DirectIo> MonitoredStream<S> {
    /// Sends a range of a file, and returns the number of its bytes. It stops at once when the peer is gone.
    ///
    /// On Linux the kernel moves the bytes from its page cache into the socket (sendfile(2)), and the file is
    /// not read into the program. Elsewhere, and for files that the kernel does not send by itself, it is
    /// read in parts of 128 KiB and written. (Windows' `TransmitFile` is not used: it needs overlapped I/O on a socket
    /// that belongs to the runtime.)
    ///
    /// `file` is a [`std::fs::File`], a `tokio::fs::File`, or anything else with a descriptor. Its own
    /// position is neither used nor moved, so any number of streams may send one open file.
    ///
    /// A range with an open end reaches to the end that the file has now. Files of /proc and /sys report a
    /// length that is not theirs; such a range sends what they yield.
    ///
    /// # It does not wait for the disk
    ///
    /// A worker of the runtime sends only what is in the page cache. The rest is read by the runtime's
    /// threads for blocking work, 256 KiB at a time. Whether a part is in the page cache is asked of a byte
    /// in each 64 KiB (`RWF_NOWAIT`, preadv2(2)): where single pages of a part were evicted, the worker waits
    /// for them. File systems that do not answer that question, such as FUSE, are read in parts.
    ///
    /// # Errors
    ///
    /// * as a write: an error of the connection, or the refusal that carries the
    ///   [`CloseReason`](crate::CloseReason). [`transfer`](crate::Monitor::transfer) tells how much was
    ///   accepted and acknowledged;
    /// * [`InvalidInput`](ErrorKind::InvalidInput): the range ends before it starts, or `file` is a FIFO, a
    ///   pipe or a socket, which have no ranges; on Linux also: it was opened with
    ///   `O_DIRECT`, and the range is not aligned (open(2));
    /// * [`UnexpectedEof`](ErrorKind::UnexpectedEof): the file is shorter than the range, from the
    ///   beginning (nothing is sent then) or because it was cut meanwhile. The stream stays open;
    /// * an error of the file. The stream stays open, also for an error that connections have too, such as a
    ///   time-out of NFS;
    /// * [`NotConnected`](ErrorKind::NotConnected): the file has to be read, and there is no runtime here.
    ///
    /// # Signals
    ///
    /// sendfile(2) on a connection that is over raises SIGPIPE. Rust programs ignore it from their start;
    /// a program whose `main` is not Rust's has to.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part of the range may have been sent. [`transfer`](crate::Monitor::transfer)
    /// tells how much was accepted; the file is as it was.
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
    /// The kernel takes up to 1 MiB in one call, in which the other half waits for its turn.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::send_file`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part of the range may have been sent.
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
    /// The kernel takes up to 1 MiB in one call, in which the other half waits for its turn.
    ///
    /// # Errors
    ///
    /// Those of [`MonitoredStream::send_file`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part of the range may have been sent.
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

/// Has the kernel send the part, as far as it does that for this file.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
async fn send_by_kernel<S: SocketWrite>(stream: &mut S, part: &mut Part) -> io::Result<()> {
    let Some(end) = part.end.filter(|_| page_cache::is_known(&part.file)) else {
        return Ok(());
    };
    // What is before this offset may be sent without a wait for the disk.
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

/// Has the kernel send what has room in the socket. `None`: it does not do that for this file, or with an
/// error that a read of the file will tell.
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
                // Of the two the connection's errors alone are the stream's.
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

/// Whether an error of sendfile(2) is the connection's. A file of a network file system has errors of the same
/// names; a connection that failed is over in both directions.
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

/// What is still to be sent of a file.
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
                "hangup: the range goes beyond the last offset that there is",
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
        // A device has no length, and is as long as it turns out to be.
        if metadata.is_file() && metadata.len() < end && !has_unknown_length(&metadata) {
            return Err(part.shorter(metadata.len()));
        }
        Ok(part)
    }

    fn has_more(&self) -> bool {
        self.end.is_none_or(|end| self.at < end)
    }

    /// Has what comes next in the page cache, and returns the offset behind it.
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

    /// Reads what comes next.
    async fn read(&self) -> io::Result<Vec<u8>> {
        let rest = self.end.map_or(u64::MAX, |end| end - self.at);
        let length = usize::try_from(rest).map_or(BUFFER, |rest| rest.min(BUFFER));
        let at = self.at;
        self.blocking(move |file| page_cache::read(file, at, length))
            .await
    }

    /// Calls `read` on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!("hangup: to read the file needs a runtime: {error}"),
            )
        })?;
        let file = self.file.clone();
        let read = move || read(&file).map_err(|error| explain(&file, error));
        runtime.spawn_blocking(read).await?
    }

    /// The file ended where we are: an error where its end was known.
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
            format!("hangup: the file ends at {length}, and {at}..{end} of it was to be sent"),
        )
    }
}

/// Says what is wrong with the way in which `file` was opened, if that is why it cannot be read.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn explain(file: &File, error: io::Error) -> io::Error {
    use rustix::fs::{OFlags, fcntl_getfl};
    let is_direct = || fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::DIRECT));
    match error.raw_os_error() {
        // Offsets, lengths and buffers have to be aligned then (open(2)).
        Some(libc::EINVAL) if is_direct() => io::Error::new(
            ErrorKind::InvalidInput,
            "hangup: cannot send the file: it was opened with O_DIRECT; open it without",
        ),
        _ => error,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn explain(_: &File, error: io::Error) -> io::Error {
    error
}

/// Refuses what has no offsets: it cannot be sent in ranges, nor to several streams.
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
        format!("hangup: cannot send a range of {what}: read it, and write what it yields"),
    ))
}

#[cfg(windows)]
fn refuse_streams(_: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Whether the length that a file reports may not be its own: in /proc it is 0, in /sys a page. Both have no
/// blocks on a disk, as no file does that is made when it is read. (Nor has a file that is one hole: it is as
/// long as it says.)
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
