//! The three servers.

use super::options::Options;
use super::work::Work;
use super::{monitored, naive, read_loop};
use std::io;
use tokio::net::TcpStream;

#[derive(Clone, Copy)]
pub(crate) enum Server {
    Naive,
    ReadLoop,
    Hangup,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Naive, Self::ReadLoop, Self::Hangup];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive send loop",
            Self::ReadLoop => "read-loop watcher",
            Self::Hangup => "hangup",
        }
    }

    /// Serves the client until the handler knows that it has left. Returns the reason.
    pub(crate) async fn serve(
        self,
        stream: TcpStream,
        work: Work,
        options: &Options,
    ) -> io::Result<String> {
        Ok(match self {
            Self::Naive => naive::serve(stream, work).await,
            Self::ReadLoop => read_loop::serve(stream, work, options.read_ahead()).await,
            Self::Hangup => monitored::serve(stream, work).await?,
        })
    }
}
