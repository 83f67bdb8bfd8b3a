//! The registration of a descriptor that another library owns. Linux only.

use super::socket::Socket;
use crate::state::HalfClose;
use rustix::fd::BorrowedFd;
use std::io;
use std::sync::Arc;

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        use super::registry::Registration;
        use super::sys::Target;
        use rustix::fd::{AsFd, OwnedFd};

        /// The entry of a borrowed descriptor in the watcher of its runtime. Its drop ends the watch.
        #[derive(Debug)]
        pub(crate) struct BorrowedRegistration {
            // Before `_epoll`: the watcher gives the epoll up before it is closed.
            _registration: Registration,
            /// It holds the file, and nothing else.
            _epoll: OwnedFd,
        }

        impl BorrowedRegistration {
            /// Registers `fd` with the watcher of the current runtime. `fd` is not needed afterwards.
            pub(crate) fn new(
                fd: BorrowedFd<'_>,
                half_close: HalfClose,
            ) -> io::Result<(Self, Arc<Socket>)> {
                let (epoll, target) = Target::borrowed(fd)?;
                let socket = Arc::new(Socket::with_target(Some(target), true, half_close, None));
                let registration = Registration::added(&socket, |watcher, key| {
                    watcher.notifier.add_epoll(epoll.as_fd(), key.to_bits())
                })?;
                let this = Self {
                    _registration: registration,
                    _epoll: epoll,
                };
                Ok((this, socket))
            }
        }
    } else {
        /// There is none here.
        #[derive(Debug)]
        pub(crate) enum BorrowedRegistration {}

        impl BorrowedRegistration {
            /// The other systems have no way to watch a descriptor that its owner may close at any time.
            pub(crate) fn new(
                _: BorrowedFd<'_>,
                _: HalfClose,
            ) -> io::Result<(Self, Arc<Socket>)> {
                Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "hangup: only Linux can watch a descriptor that another library owns: wrap the stream in a \
                     `MonitoredStream` instead",
                ))
            }
        }
    }
}
