//! Sends a file without copying it through the program.

use super::file_part::{AsFile, FilePart};
use super::while_open::while_open;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use super::zero_copy::send_by_kernel;
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback))))]
use crate::stream::PollRefused as SocketWrite;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
use crate::stream::SocketWrite;
use crate::stream::{DirectIo, MonitoredStream, OwnedWriteHalf, WriteHalf};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::ops::RangeBounds;
use std::pin::Pin;

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
    /// If the stream closes while a blocking thread reads, this ends at once. The read goes on on its thread, which a disk or a
    /// network file system that does not answer keeps.
    ///
    /// A worker thread of the runtime sends only what is in the page cache. To find out, it probes one byte in each
    /// 128 KiB (`RWF_NOWAIT`, preadv2(2)). If the system has evicted single pages between two probes, the worker thread
    /// waits for them.
    ///
    /// # Errors
    ///
    /// * as a write: an error of the connection, or one that carries the [`CloseReason`](crate::CloseReason).
    ///   [`transfer`](crate::Monitor::transfer) reports how much was accepted and acknowledged;
    /// * [`InvalidInput`](ErrorKind::InvalidInput): the range ends before it starts; it has no end, and `file` is a device;
    ///   or `file` is a FIFO, a pipe, a socket, or no file, such as an epoll. On Linux also: the file was opened with `O_DIRECT`, and the range is not aligned (open(2));
    /// * [`IsADirectory`](ErrorKind::IsADirectory): `file` is a directory;
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
        let part = FilePart::new(file, &range)?;
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
        let part = FilePart::new(file, &range)?;
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
        let part = FilePart::new(file, &range)?;
        send_part(self, part).await
    }
}

async fn send_part<S: SocketWrite>(stream: &mut S, mut part: FilePart) -> io::Result<u64> {
    let start = part.at;
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))]
    send_by_kernel(stream, &mut part).await?;
    while part.has_more() {
        let buffer = while_open(stream, part.read()).await?;
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
