//! Taking the next connection, whatever happens to the ones before.

use super::listener::MonitoredListener;
use super::monitored_stream::MonitoredStream;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long to wait before the next try if there is no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// An accept that an error does not end.
///
/// If the error is of one connection the next one is taken at once. If there is no room (descriptors,
/// memory), the connection waits in the kernel's queue, and we wait too instead of asking again and again.
#[derive(Debug, Default)]
pub(crate) struct Accept {
    wait: Option<Pin<Box<Sleep>>>,
}

impl Accept {
    pub(crate) fn poll(
        &mut self,
        listener: &MonitoredListener,
        cx: &mut Context<'_>,
    ) -> Poll<(MonitoredStream<TcpStream>, SocketAddr)> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let error = match ready!(listener.poll_accept(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(error) => error,
            };
            listener.tell(&error);
            if !of_one_connection(&error) {
                self.wait = Some(Box::pin(tokio::time::sleep(NO_ROOM)));
            }
        }
    }
}

fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
    )
}
