//! One cell of the table: one client leaves one server in one way.

use super::options::Options;
use super::server::Server;
use super::way::{REQUEST, Way};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{sleep, timeout};

/// How long it is quiet before a client leaves, and before the next one does.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Outcome {
    /// The time from the client's leaving to the handler's knowing, and the reason; `None` if not in time.
    pub(crate) known: Option<(Duration, String)>,
    /// The bytes that the handler produced in that time.
    pub(crate) produced: u64,
}

pub(crate) async fn measure(
    way: Way,
    server: Server,
    options: Options,
    leaving: Arc<Mutex<()>>,
) -> io::Result<Outcome> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (mut stream, _) = listener.accept().await?;

    let work = way.work();
    let produced = work.produced();
    let (ready, is_ready) = oneshot::channel();
    let limit = options.limit();
    let count = produced.clone();
    let mut handler = tokio::spawn(async move {
        stream.read_exact(&mut [0; REQUEST.len()]).await?;
        // The receiver is gone only if the client has failed.
        let _ = ready.send(());
        let reason = server.serve(stream, work, &options).await?;
        io::Result::Ok((Instant::now(), count.load(Relaxed), reason))
    });
    way.enter(&mut client).await?;
    is_ready.await.map_err(io::Error::other)?;

    // One client leaves at a time, when nothing else happens.
    let mut turn = None;
    if !way.is_busy() {
        turn = Some(leaving.lock().await);
        sleep(PAUSE).await;
    }
    let before = match way {
        // It has never read anything.
        Way::NotReading => 0,
        _ => produced.load(Relaxed),
    };
    let (left, _alive) = way.leave(client).await?;
    let known = match timeout(PAUSE, &mut handler).await {
        Ok(known) => Some(known),
        Err(_) => {
            drop(turn);
            let rest = limit.saturating_sub(left.elapsed());
            timeout(rest, &mut handler).await.ok()
        }
    };
    Ok(match known {
        Some(known) => {
            let (at, produced, reason) = known??;
            Outcome {
                known: Some((at.saturating_duration_since(left), reason)),
                produced: produced - before,
            }
        }
        None => {
            handler.abort();
            Outcome {
                known: None,
                produced: produced.load(Relaxed) - before,
            }
        }
    })
}
