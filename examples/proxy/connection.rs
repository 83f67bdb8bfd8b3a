//! One connection: a client, the server, and what went between them.

use crate::options::Options;
use hangup::{CloseReason, MonitorConfig, MonitoredStream, StallPolicy, Transfer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The slowest side that is worth its memory: 64 KiB in a minute.
const SLOWEST: (u64, Duration) = (64 * 1024, Duration::from_secs(60));

/// How long to wait at the end until a side has acknowledged what the other one had sent.
const FINISH: Duration = Duration::from_secs(30);

/// How long a server may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// How each connection is served.
#[derive(Clone)]
pub(crate) struct Connection {
    target: Arc<str>,
    config: MonitorConfig,
}

/// The end of a connection.
pub(crate) struct Report {
    address: SocketAddr,
    pub(crate) outcome: io::Result<(Side, Side)>,
    lasted: Duration,
}

/// The client or the server.
pub(crate) struct Side {
    pub(crate) transfer: Transfer,
    /// `None`: we ended it, the other side having left.
    pub(crate) reason: Option<CloseReason>,
}

impl Connection {
    pub(crate) fn new(options: &Options) -> Self {
        let (bytes, window) = SLOWEST;
        Self {
            target: options.target.as_str().into(),
            config: MonitorConfig::new()
                .half_close(options.half_close)
                .stall(StallPolicy::new(bytes, window))
                .reset_on_stall(true),
        }
    }

    /// Serves a client until the connection is over, or until `end`.
    pub(crate) async fn serve(
        self,
        client: TcpStream,
        address: SocketAddr,
        end: CancellationToken,
    ) -> Report {
        let began = Instant::now();
        let report = Report {
            address,
            outcome: self.pass(client, end).await,
            lasted: began.elapsed(),
        };
        println!("{report}");
        report
    }

    async fn pass(&self, client: TcpStream, end: CancellationToken) -> io::Result<(Side, Side)> {
        let mut client = MonitoredStream::with_config(client, &self.config)?;
        // A client that leaves meanwhile may have sent something to be delivered.
        let server = tokio::select! {
            server = timeout(CONNECT, TcpStream::connect(&*self.target)) => server??,
            () = end.cancelled() => return Err(CloseReason::Dropped.into()),
        };
        let mut server = MonitoredStream::with_config(server, &self.config)?;
        let passing = async {
            hangup::copy_bidirectional(&mut client, &mut server).await;
            see_off(client.close_reason(), &mut server).await;
            see_off(server.close_reason(), &mut client).await;
        };
        tokio::select! {
            () = passing => {}
            () = end.cancelled() => {}
        }
        Ok((Side::of(&client), Side::of(&server)))
    }
}

/// Ends the side that stayed as the one that left has ended.
async fn see_off(left: Option<CloseReason>, stayed: &mut MonitoredStream<TcpStream>) {
    match left {
        _ if stayed.is_closed() => {}
        // All of it was delivered: wait until it has arrived. If it does not, the line tells how much did.
        Some(CloseReason::PeerClosed | CloseReason::Finished) => {
            let _ = stayed.finish(FINISH).await;
        }
        // A part must not be taken for the whole.
        Some(_) => stayed.abort(),
        None => {}
    }
}

impl Side {
    fn of(stream: &MonitoredStream<TcpStream>) -> Self {
        Self {
            transfer: stream.monitor().transfer(),
            reason: stream.close_reason(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transfer { read, accepted, .. } = self.transfer;
        write!(f, "{read} bytes from it, {accepted} accepted")?;
        match self.transfer.acknowledged {
            Some(acknowledged) => write!(f, ", {acknowledged} acknowledged")?,
            None => f.write_str(", acknowledged unknown")?,
        }
        match &self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => f.write_str(", ended by the proxy"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.address)?;
        match &self.outcome {
            Ok((client, server)) => write!(f, "client: {client}; server: {server}")?,
            Err(error) => write!(f, "no server: {error}")?,
        }
        write!(f, "; {:.3} s", self.lasted.as_secs_f64())
    }
}
