//! Sending a file without reading it.

use crate::stream::MonitoredStream;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
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

/// What is read at a time where the kernel does not send by itself.
const BUFFER: usize = 128 << 10;

impl MonitoredStream<TcpStream> {
    /// Sends a range of a file, and gives the number of its bytes. It stops at once when the peer is gone.
    ///
    /// On Linux the kernel moves the bytes from its page cache into the socket (sendfile(2)): the file is
    /// not read into the program. Elsewhere, and for files that the kernel refuses to send by itself, it is
    /// read in parts of 128 KiB on the runtime's threads for blocking work, and written.
    ///
    /// `file` is a [`std::fs::File`], a `tokio::fs::File`, or anything else with a descriptor. Its own
    /// position is neither used nor moved, so any number of streams may send one open file. A range with
    /// an open end reaches to the end that the file has now.
    ///
    /// What the page cache does not have is waited for on the present thread, as short as the system's
    /// read-ahead makes it: for many cold files on slow disks, read them elsewhere.
    ///
    /// # Errors
    ///
    /// * as a write: an error of the connection, or the refusal that carries the
    ///   [`CloseReason`](crate::CloseReason). [`transfer`](crate::Monitor::transfer) tells how much was
    ///   accepted and acknowledged;
    /// * [`InvalidInput`](ErrorKind::InvalidInput): the range ends before it starts;
    /// * [`UnexpectedEof`](ErrorKind::UnexpectedEof): the file is shorter than the range, from the
    ///   beginning (nothing is sent then) or because it was cut meanwhile. The stream stays open;
    /// * an error of the file. The stream stays open;
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
        self.send_part(part).await
    }

    async fn send_part(&mut self, mut part: Part) -> io::Result<u64> {
        let bytes = part.end - part.at;
        #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
        while part.at < part.end {
            match self.send_by_kernel(&mut part).await? {
                true => {}
                false => break,
            }
        }
        let mut buffer = Vec::new();
        while part.at < part.end {
            buffer = part.read(buffer).await?;
            let mut rest = &*buffer;
            while !rest.is_empty() {
                let written = poll_fn(|cx| Pin::new(&mut *self).poll_write(cx, rest)).await?;
                if written == 0 {
                    return Err(ErrorKind::WriteZero.into());
                }
                part.at += written as u64;
                rest = &rest[written..];
            }
        }
        Ok(bytes)
    }

    /// Has the kernel send what has room in the socket. `false`: it does not do that for this file.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
    async fn send_by_kernel(&mut self, part: &mut Part) -> io::Result<bool> {
        let rest = usize::try_from(part.end - part.at).unwrap_or(usize::MAX);
        let mut failed = None;
        let sent = poll_fn(|cx| {
            self.poll_write_with(cx, |socket| {
                let mut at = part.at;
                let sent = rustix::io::retry_on_intr(|| {
                    rustix::fs::sendfile(socket, &part.file, Some(&mut at), rest.min(CHUNK))
                });
                match sent.map_err(io::Error::from) {
                    // Of the two the connection's errors alone are the stream's.
                    Err(error)
                        if error.kind() != ErrorKind::WouldBlock
                            && !crate::errors::is_connection_error(&error) =>
                    {
                        failed = Some(error);
                        Ok(0)
                    }
                    sent => sent,
                }
            })
        })
        .await?;
        match failed {
            None if sent == 0 => Err(part.ended()),
            None => {
                part.at += sent as u64;
                Ok(true)
            }
            // "The file does not support mmap-like operations", says sendfile(2).
            Some(error) if error.kind() == ErrorKind::InvalidInput => Ok(false),
            Some(error) => Err(error),
        }
    }
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
    end: u64,
}

impl Part {
    fn new(file: File, range: &impl RangeBounds<u64>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let at = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(start) => start.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => Some(metadata.len().max(at.unwrap_or(0))),
        };
        let (Some(at), Some(end)) = (at, end) else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "hangup: the range goes beyond the last offset that there is",
            ));
        };
        if end < at {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("hangup: the range {at}..{end} ends before it starts"),
            ));
        }
        let part = Self {
            file: Arc::new(file),
            at,
            end,
        };
        // A device tells a length of 0, and is as long as it turns out to be.
        if metadata.is_file() && metadata.len() < end {
            return Err(part.shorter(metadata.len()));
        }
        Ok(part)
    }

    /// Reads what comes next into `buffer`.
    async fn read(&self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!("hangup: to read the file needs a runtime: {error}"),
            )
        })?;
        let rest = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        buffer.resize(rest.min(BUFFER), 0);
        let (file, at) = (self.file.clone(), self.at);
        let read = runtime.spawn_blocking(move || {
            loop {
                match read_at(&file, &mut buffer, at) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                    Ok(bytes) => {
                        buffer.truncate(bytes);
                        break Ok(buffer);
                    }
                }
            }
        });
        let buffer = read.await??;
        match buffer.is_empty() {
            true => Err(self.ended()),
            false => Ok(buffer),
        }
    }

    /// The file ended where we are.
    fn ended(&self) -> io::Error {
        self.shorter(self.at)
    }

    fn shorter(&self, length: u64) -> io::Error {
        let (at, end) = (self.at, self.end);
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("hangup: the file ends at {length}, and {at}..{end} of it was to be sent"),
        )
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
