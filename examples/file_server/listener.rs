//! Where the connections come from: axum's listener over a [`MonitoredListener`].

use crate::board::Board;
use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::report::Report;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use hangup::{MonitorConfig, MonitoredListener};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Listener {
    listener: MonitoredListener,
    report: Report,
    board: Option<Arc<Board>>,
    /// An error was reported since the last connection: it comes with every try.
    told: Arc<AtomicBool>,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        config: MonitorConfig,
        report: Report,
        board: Option<Arc<Board>>,
    ) -> io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        let tell = {
            let (report, told) = (report.clone(), told.clone());
            move |error: &io::Error| {
                if !told.swap(true, Ordering::Relaxed) {
                    report.line(&format!("cannot accept, will try on: {error}"));
                }
            }
        };
        let listener = MonitoredListener::bind(address).await?;
        Ok(Self {
            listener: listener.config(config).on_accept_error(tell),
            report,
            board,
            told,
        })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, client) = self.listener.accept_retrying().await;
        self.told.store(false, Ordering::Relaxed);
        let (report, board) = (self.report.clone(), self.board.clone());
        (Connection::new(stream, client, report, board), client)
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
