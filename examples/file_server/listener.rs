//! Where the connections come from: axum's listener over a [`MonitoredListener`].

use crate::board::Board;
use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::report::Report;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use hangup::{MonitorConfig, MonitoredListener};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before the next try if there is no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

pub(crate) struct Listener {
    listener: MonitoredListener,
    report: Report,
    board: Option<Arc<Board>>,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        config: MonitorConfig,
        report: Report,
        board: Option<Arc<Board>>,
    ) -> io::Result<Self> {
        let listener = MonitoredListener::bind(address).await?.with_config(config);
        Ok(Self {
            listener,
            report,
            board,
        })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    /// An error does not end the server. If it is of one connection the next one is taken at once; if
    /// there is no room (descriptors, memory), the connection waits in the kernel's queue, and we wait
    /// too instead of asking again and again.
    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let mut told = false;
        loop {
            let error = match self.listener.accept().await {
                Ok((stream, client)) => {
                    let connection =
                        Connection::new(stream, client, self.report.clone(), self.board.clone());
                    return (connection, client);
                }
                Err(error) => error,
            };
            if matches!(
                error.kind(),
                ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
            ) {
                continue;
            }
            if !told {
                told = true;
                self.report
                    .line(&format!("cannot accept, will try on: {error}"));
            }
            tokio::time::sleep(NO_ROOM).await;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a handler knows of the connection that its request came by.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) ledger: Arc<Ledger>,
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self {
            ledger: stream.io().ledger().clone(),
        }
    }
}
