//! The peer goes away and comes back: how soon the outbox sends again.
//!
//! The figures, over many returns:
//!
//! ```sh
//! HANGUP_RETURNS=500 cargo test --release --features outbox --test outbox reconnect -- --nocapture
//! ```

#![cfg(all(unix, feature = "outbox"))]

use crate::support::soon;
use fastrand::Rng;
use hangup::outbox::{Confirm, Connection, Outbox, Processed};
use hdrhistogram::Histogram;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::Mutex as Turn;
use tokio_util::codec::{BytesCodec, Decoder};

/// Between two attempts.
const STEP: Duration = Duration::from_millis(20);

/// More than the step that a busy machine may take.
const ROOM: Duration = Duration::from_secs(2);

/// One test at a time: they measure.
static ALONE: Turn<()> = Turn::const_new(());

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where the peer is to be found.
#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    /// Gone with the peer, as a service manager does it, or left behind, as a crash does.
    Unix {
        path: PathBuf,
        left_behind: bool,
    },
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Place {
    fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Tcp(address) => {
                let socket = TcpSocket::new_v4()?;
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                socket.listen(16).map(Listener::Tcp)
            }
            Self::Unix { path, .. } => {
                // As every server with such a socket does.
                let _ = std::fs::remove_file(path);
                UnixListener::bind(path).map(Listener::Unix)
            }
        }
    }

    fn leave(&self, listener: Listener) {
        drop(listener);
        if let Self::Unix {
            path,
            left_behind: false,
        } = self
        {
            std::fs::remove_file(path).unwrap();
        }
    }

    async fn connect(self) -> io::Result<Connection> {
        match self {
            Self::Tcp(address) => TcpStream::connect(address).await.map(Into::into),
            Self::Unix { path, .. } => UnixStream::connect(path).await.map(Into::into),
        }
    }
}

impl Listener {
    async fn accept(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// A reply: the number of a message.
struct Numbers;

impl Decoder for Numbers {
    type Item = u64;
    type Error = io::Error;

    fn decode(&mut self, input: &mut bytes::BytesMut) -> io::Result<Option<u64>> {
        use bytes::Buf;
        Ok((input.len() >= 8).then(|| input.get_u64()))
    }
}

/// How long something took, many times.
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        Self(Histogram::new(3).unwrap())
    }

    fn add(&mut self, time: Duration) {
        self.0.record(time.as_micros().try_into().unwrap()).unwrap();
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        let (p50, p90, p99, max) = (ms(0.5), ms(0.9), ms(0.99), ms(1.0));
        write!(
            f,
            "p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2}, max {max:.2} ms"
        )
    }
}

/// Lets the peer go away and come back many times, each at another moment of the outbox's step.
async fn returns(name: &str, place: Place) {
    let _alone = ALONE.lock().await;
    let rounds = std::env::var("HANGUP_RETURNS").map_or(25, |rounds| rounds.parse().unwrap());
    let mut random = Rng::with_seed(1);
    let timers = Arc::new(Mutex::new(Times::new()));
    let mut listener = place.listen().unwrap();

    let late = timers.clone();
    // When the last attempt failed, if it did.
    let failed = Arc::new(Mutex::new(None::<Instant>));
    let to = place.clone();
    let outbox = Outbox::builder(
        move || {
            if let Some(failed) = failed.lock().unwrap().take() {
                let waited = Instant::now() - failed;
                late.lock().unwrap().add(waited.saturating_sub(STEP));
            }
            let (connecting, failed) = (to.clone().connect(), failed.clone());
            async move {
                let connection = connecting.await;
                if connection.is_err() {
                    *failed.lock().unwrap() = Some(Instant::now());
                }
                connection
            }
        },
        BytesCodec::new,
    )
    .confirm(Confirm::by_peer(
        |message: &bytes::Bytes| u64::from_be_bytes(message[..].try_into().unwrap()),
        || Numbers,
        |number| Some(Processed::One(number)),
    ))
    .backoff(std::iter::repeat(STEP))
    .spawn()
    .unwrap();

    let mut resumed = Times::new();
    let mut beyond = Times::new();
    let mut stream = soon("the first connection", listener.accept()).await;
    for number in 0..rounds {
        drop(stream);
        place.leave(listener);
        let message = bytes::Bytes::copy_from_slice(&u64::to_be_bytes(number));
        let receipt = outbox.send(message).await.unwrap();
        tokio::time::sleep(STEP.mul_f64(2.0 + random.f64())).await;

        listener = place.listen().unwrap();
        let back = Instant::now();
        stream = soon("the reconnect", listener.accept()).await;
        let read = soon("the message", stream.read_u64()).await.unwrap();
        let took = back.elapsed();
        assert_eq!(read, number);
        resumed.add(took);
        beyond.add(took.saturating_sub(STEP));
        assert!(took <= STEP + ROOM, "{name}: {took:?}");
        stream.write_u64(number).await.unwrap();
        soon("the receipt", receipt).await.unwrap();
    }
    println!(
        "{name}: {rounds} returns, back-off step {STEP:?}\n  \
         from the return to the message: {resumed}\n  \
         of that beyond the step:        {beyond}\n  \
         an attempt after its time:      {}",
        timers.lock().unwrap(),
    );
    assert!(outbox.shutdown(ROOM).await.is_complete());
}

fn socket(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

#[tokio::test]
async fn to_the_same_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    returns("TCP", Place::Tcp(address)).await;
}

#[tokio::test]
async fn to_a_path_that_is_left_behind() {
    let path = socket("left-behind");
    let left_behind = true;
    returns("Unix", Place::Unix { path, left_behind }).await;
}

#[tokio::test]
async fn to_a_path_that_goes_and_comes() {
    let path = socket("gone");
    let left_behind = false;
    returns("Unix, without the path", Place::Unix { path, left_behind }).await;
}
