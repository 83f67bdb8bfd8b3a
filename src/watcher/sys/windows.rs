//! Windows: the socket driver, or the tick where the driver cannot be opened.
//!
//! A sandbox may refuse `\Device\Afd`. Then each runtime of the process polls its sockets every 50 ms instead.
//! The name of the thread shows which one a runtime uses, in a debugger or a process viewer: `hangup-afd` or
//! `hangup-ticker`. With the feature `tracing` the second one is a warning.

use super::contract::Raw;
use super::{afd, tick};
use rustix::fd::BorrowedFd;
use std::io;

#[derive(Debug)]
pub(in crate::watcher) enum Notifier {
    Afd(afd::Notifier),
    Tick(tick::Notifier),
}

impl Notifier {
    pub(in crate::watcher) fn new() -> io::Result<Self> {
        Self::or_tick(afd::Notifier::new())
    }

    /// The notifier that was opened; where it could not be, one that ticks.
    fn or_tick(opened: io::Result<afd::Notifier>) -> io::Result<Self> {
        match opened {
            Ok(notifier) => Ok(Self::Afd(notifier)),
            Err(error) => {
                #[cfg(feature = "tracing")]
                crate::observe::call_foreign(|| crate::observe::tracing::polls_instead(&error));
                // Only the name of the thread shows it.
                #[cfg(not(feature = "tracing"))]
                drop(error);
                tick::Notifier::new().map(Self::Tick)
            }
        }
    }

    pub(in crate::watcher) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        is_watched: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        match self {
            Self::Afd(notifier) => notifier.add(fd, token),
            Self::Tick(notifier) => notifier.add(fd, token, is_watched),
        }
    }

    pub(in crate::watcher) fn remove(&self, raw: Raw, token: u64) {
        match self {
            Self::Afd(notifier) => notifier.remove(raw, token),
            Self::Tick(notifier) => notifier.remove(raw, token),
        }
    }

    pub(in crate::watcher) async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        match self {
            Self::Afd(notifier) => notifier.wait(tokens).await,
            Self::Tick(notifier) => notifier.wait(tokens).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::{AsFd, AsRawFd};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// A sandbox refuses the driver: the sockets are polled.
    #[tokio::test]
    async fn polls_where_the_driver_cannot_be_opened() {
        let notifier = Notifier::or_tick(Err(io::ErrorKind::PermissionDenied.into())).unwrap();
        assert!(matches!(notifier, Notifier::Tick(_)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        notifier.add(ours.as_fd(), 7, || false).unwrap();
        drop(peer);
        let mut tokens = Vec::new();
        let told = notifier.wait(&mut tokens);
        let told = tokio::time::timeout(Duration::from_secs(30), told).await;
        told.unwrap().unwrap();
        assert_eq!(tokens, [7]);
        notifier.remove(ours.as_fd().as_raw_fd(), 7);
    }
}
