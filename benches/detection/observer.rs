//! Those who wait for the peer's close.

use hangup::MonitoredStream;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) const HANGUP: &str = "hangup, closed()";

/// Nothing is ever sent in a round, so where there is no `POLLRDHUP` an end of file is all that can
/// become readable.
#[cfg(target_os = "linux")]
const HANG_UP: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const HANG_UP: PollFlags = PollFlags::IN;

pub(crate) struct Observer {
    pub(crate) name: &'static str,
    pub(crate) runtime: &'static str,
    /// Takes one connection after the other.
    pub(crate) sockets: UnboundedSender<TcpStream>,
    /// Two reports for each connection: that it is about to be watched, and that its end was seen.
    pub(crate) reports: mpsc::Receiver<Instant>,
}

/// The thread in `poll(2)` first.
pub(crate) fn all() -> io::Result<Vec<Observer>> {
    let current_thread = || Builder::new_current_thread().enable_all().build();
    let multi_thread = || {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
    };
    Ok(vec![
        poll_thread(),
        read_loop("current-thread", current_thread()?),
        hangup("current-thread", current_thread()?),
        read_loop("multi-thread, 2", multi_thread()?),
        hangup("multi-thread, 2", multi_thread()?),
    ])
}

/// A thread that is blocked in `poll(2)`: as fast as the kernel and std can tell.
pub(crate) fn poll_thread() -> Observer {
    let (observer, mut sockets, reports) = observer("thread in poll(2)", "none");
    thread::spawn(move || {
        while let Some(socket) = sockets.blocking_recv() {
            let mut watched = [PollFd::new(&socket, HANG_UP)];
            if reports.send(Instant::now()).is_err() {
                return;
            }
            poll(&mut watched, None).expect("poll(2) takes a socket");
            let seen = Instant::now();
            drop(socket);
            if reports.send(seen).is_err() {
                return;
            }
        }
    });
    observer
}

/// A task that reads until the end of the file.
fn read_loop(flavour: &'static str, runtime: Runtime) -> Observer {
    in_a_task(
        "read loop",
        flavour,
        runtime,
        |socket, watching| async move {
            let mut stream = tokio_stream(socket)?;
            let mut buffer = vec![0; 16 * 1024];
            watching();
            while stream.read(&mut buffer).await? > 0 {}
            Ok(Instant::now())
        },
    )
}

/// A task that awaits `closed()`.
fn hangup(flavour: &'static str, runtime: Runtime) -> Observer {
    in_a_task(HANGUP, flavour, runtime, await_closed)
}

/// The watch of [`hangup`].
pub(crate) async fn await_closed(
    socket: TcpStream,
    watching: Box<dyn FnOnce() + Send>,
) -> io::Result<Instant> {
    let stream = MonitoredStream::new(tokio_stream(socket)?)?;
    let closed = stream.closed();
    watching();
    closed.await;
    Ok(Instant::now())
}

/// A spawned task. `watch` is given a connection and what to call when it is about to be watched, and
/// tells when it saw the end.
pub(crate) fn in_a_task<Watch, Seen>(
    name: &'static str,
    flavour: &'static str,
    runtime: Runtime,
    watch: Watch,
) -> Observer
where
    Watch: Fn(TcpStream, Box<dyn FnOnce() + Send>) -> Seen + Send + 'static,
    Seen: Future<Output = io::Result<Instant>> + Send,
{
    let (observer, mut sockets, reports) = observer(name, flavour);
    let task = runtime.spawn(async move {
        while let Some(socket) = sockets.recv().await {
            let watching = reports.clone();
            let watching = Box::new(move || {
                let _ = watching.send(Instant::now());
            });
            let seen = watch(socket, watching).await.expect("a socket of loopback");
            if reports.send(seen).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || runtime.block_on(task));
    observer
}

fn observer(
    name: &'static str,
    runtime: &'static str,
) -> (
    Observer,
    UnboundedReceiver<TcpStream>,
    mpsc::Sender<Instant>,
) {
    let (sockets, taken) = unbounded_channel();
    let (report, reports) = mpsc::channel();
    let observer = Observer {
        name,
        runtime,
        sockets,
        reports,
    };
    (observer, taken, report)
}

pub(crate) fn tokio_stream(socket: TcpStream) -> io::Result<tokio::net::TcpStream> {
    socket.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(socket)
}
