//! The ways of leaving: what the client does.

use super::work::{EVENT, Work};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: detection\r\n\r\n";
const BODY: usize = 100_000;

/// In the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    FinIdle,
    ResetIdle,
    FinPipelined,
    FinBody,
    FinEvents,
    FinBulk,
    NotReading,
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::FinIdle,
        Self::ResetIdle,
        Self::FinPipelined,
        Self::FinBody,
        Self::FinEvents,
        Self::FinBulk,
        Self::NotReading,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FinIdle => "FIN, handler idle",
            Self::ResetIdle => "RST, handler idle",
            Self::FinPipelined => "FIN behind a pipelined request",
            Self::FinBody => "FIN behind an unread 100 kB body",
            Self::FinEvents => "FIN, one event a second",
            Self::FinBulk => "FIN under bulk writing",
            Self::NotReading => "alive, but not reading",
        }
    }

    /// What the handler does meanwhile.
    pub(crate) fn work(self) -> Work {
        match self {
            Self::FinIdle | Self::ResetIdle | Self::FinPipelined | Self::FinBody => Work::idle(),
            Self::FinEvents => Work::events(Duration::from_secs(1)),
            Self::FinBulk | Self::NotReading => Work::bulk(),
        }
    }

    /// Whether the handler writes as fast as it can until the client leaves.
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::FinBulk | Self::NotReading)
    }

    /// Sends the request, and does what comes before the client leaves.
    pub(crate) async fn enter(self, client: &mut TcpStream) -> io::Result<()> {
        client.write_all(REQUEST).await?;
        match self {
            Self::FinIdle | Self::ResetIdle | Self::NotReading => {}
            Self::FinPipelined => client.write_all(REQUEST).await?,
            Self::FinBody => client.write_all(&[0; BODY]).await?,
            Self::FinEvents => {
                client.read_exact(&mut [0; EVENT.len()]).await?;
            }
            Self::FinBulk => {
                let mut taken = vec![0; 1024 * 1024];
                client.read_exact(&mut taken).await?;
            }
        }
        Ok(())
    }

    /// Leaves. Returns when that began, and the client if it stays connected.
    pub(crate) async fn leave(
        self,
        mut client: TcpStream,
    ) -> io::Result<(Instant, Option<TcpStream>)> {
        if self == Self::ResetIdle {
            client.set_zero_linger()?;
        }
        if self == Self::FinEvents {
            // With an event unread, the close would send a reset instead of a FIN.
            while client
                .try_read(&mut [0; EVENT.len()])
                .is_ok_and(|bytes| bytes > 0)
            {}
        }
        let began = Instant::now();
        if self == Self::FinBulk {
            // With data unread the close sends a reset, so the FIN goes first.
            client.shutdown().await?;
        }
        Ok((began, (self == Self::NotReading).then_some(client)))
    }
}
