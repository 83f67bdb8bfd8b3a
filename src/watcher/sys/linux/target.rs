//! Linux: what a descriptor is, and which file answers for its kind.

use super::super::contract::{Backlog, Observation, Raw};
use super::descriptor::{Descriptor, inode};
use super::kind::Kind;
use super::known::Known;
use super::{borrowed, mptcp, pipe, socket, tcp, unix};
use crate::policy::Reading;
use crate::state::Event;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use std::io::{self, ErrorKind, IsTerminal};
use std::time::Duration;

/// Whose a descriptor is, and its kind.
#[derive(Debug, Clone, Copy)]
enum Held {
    /// The stream's, which detaches it before it is closed.
    Owned(Kind),
    /// Another owner's, who may close it at any time: see `borrowed.rs`. The epoll is ours, and holds the file.
    Borrowed { epoll: Raw, kind: Kind },
}

/// One watched descriptor and its kind.
#[derive(Debug, Clone, Copy)]
pub(in crate::watcher) struct Target {
    descriptor: Descriptor,
    held: Held,
}

impl Target {
    /// Determines the kind of `fd`, unless it is `known`. Refuses descriptors that never report the end of a peer.
    pub(in crate::watcher) fn new(fd: BorrowedFd<'_>, known: Known) -> io::Result<Self> {
        let mut descriptor = Descriptor {
            raw: fd.as_raw_fd(),
            inode: None,
        };
        let kind = match known.kind() {
            None if known.is_exclusive() => kind_of_socket(descriptor)?,
            kind => kind,
        };
        if let Some(kind) = kind {
            let held = Held::Owned(kind);
            return Ok(Self { descriptor, held });
        }
        let stat = fstat(fd)?;
        descriptor.inode = inode(stat.st_ino);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Socket => socket_kind(descriptor, descriptor.int(libc::SO_PROTOCOL))?,
            FileType::Fifo if fcntl_getfl(fd)?.contains(OFlags::PATH) => {
                return Err(not_open());
            }
            FileType::Fifo => Kind::Pipe,
            FileType::CharacterDevice if fd.is_terminal() => {
                return Err(refused(
                    "a terminal",
                    "it has no peer; handle SIGHUP instead",
                ));
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                return Err(refused("a device", "it has no peer; use it as it is"));
            }
            _ => return Err(refused("a file", "it has no peer; use it as it is")),
        };
        let held = Held::Owned(kind);
        Ok(Self { descriptor, held })
    }

    /// Like [`new`](Self::new), for a descriptor of another owner. The target may be used while the epoll is open.
    pub(in crate::watcher) fn borrowed(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Self)> {
        let Self { descriptor, held } = Self::new(fd, Known::default())?;
        let epoll = borrowed::hold(fd)?;
        // The kind was determined for this file, so the epoll must hold the same one.
        if !descriptor.is_same() {
            return Err(refused(
                "a descriptor that another thread exchanges",
                "keep it open until the call returns",
            ));
        }
        let held = Held::Borrowed {
            epoll: epoll.as_raw_fd(),
            kind: held.kind(),
        };
        Ok((epoll, Self { descriptor, held }))
    }

    /// The descriptor that the notifier holds.
    pub(in crate::watcher) fn raw(self) -> Raw {
        match self.held {
            Held::Owned(_) => self.descriptor.raw,
            Held::Borrowed { epoll, .. } => epoll,
        }
    }

    /// Whether [`raw`](Self::raw) still names the file that was registered: see [`Descriptor`].
    pub(in crate::watcher) fn is_same(self) -> bool {
        match self.held {
            Held::Owned(_) => self.descriptor.is_same(),
            Held::Borrowed { .. } => true,
        }
    }

    /// Whether nothing but the stream can close the descriptor, so that closing it removes it from the epoll.
    pub(in crate::watcher) fn is_exclusive(self) -> bool {
        matches!(self.held, Held::Owned(_)) && self.descriptor.inode.is_none()
    }

    /// From now on, code outside of the stream may exchange the file that the number names.
    pub(in crate::watcher) fn share(&mut self) {
        self.descriptor.note_inode();
    }

    /// Whether the peer may be on another machine, so that it can vanish without a FIN or a reset.
    pub(in crate::watcher) fn can_vanish(self) -> bool {
        match self.held.kind() {
            Kind::Tcp { .. } | Kind::Mptcp | Kind::Socket => true,
            Kind::Unix | Kind::Pipe => false,
        }
    }

    /// Asks the kernel how the descriptor stands: one system call while nothing has happened to it, and two for one
    /// that is borrowed.
    pub(in crate::watcher) fn examine(self) -> Observation {
        let kind = match self.held {
            Held::Owned(kind) => kind,
            Held::Borrowed { epoll, kind } => {
                return borrowed::examine(self.descriptor, epoll, kind);
            }
        };
        match kind {
            Kind::Tcp { control_bytes } => tcp::examine(self.descriptor, control_bytes),
            Kind::Mptcp => mptcp::examine(self.descriptor),
            Kind::Unix => unix::examine(self.descriptor),
            Kind::Pipe => pipe::examine(self.descriptor),
            Kind::Socket => socket::examine(self.descriptor),
        }
    }

    /// The event for a broken pipe that a write found.
    pub(in crate::watcher) fn broken_pipe(self) -> Event {
        match self.held.kind() {
            Kind::Tcp { control_bytes } => tcp::broken_pipe(self.descriptor, control_bytes),
            Kind::Mptcp | Kind::Socket => Event::Reset { after_fin: true },
            Kind::Unix => unix::broken_pipe(self.descriptor),
            Kind::Pipe => Event::HungUp,
        }
    }

    /// Asks for the error behind an end that a read or a write could not explain. The kernel gives an error to one
    /// call only, and that call may have been another.
    pub(in crate::watcher) fn unexplained_end(self) -> Observation {
        match self.held.owned() {
            Some(Kind::Tcp { control_bytes }) => {
                tcp::unexplained_end(self.descriptor, control_bytes)
            }
            Some(Kind::Mptcp | Kind::Unix | Kind::Pipe | Kind::Socket) | None => {
                Observation::default()
            }
        }
    }

    /// A number that grows with each byte that the peer takes from the system, given the accepted bytes. For a Unix socket
    /// see [`reading`](Self::reading).
    pub(in crate::watcher) fn drained(self, accepted: u64) -> u64 {
        let drained = match self.held.kind() {
            Kind::Tcp { .. } => tcp::drained(self.descriptor),
            Kind::Mptcp => mptcp::drained(self.descriptor),
            Kind::Pipe => pipe::drained(self.descriptor, accepted),
            Kind::Unix | Kind::Socket => None,
        };
        match self.held {
            Held::Borrowed { .. } if !self.descriptor.is_same() => accepted,
            _ => drained.unwrap_or(accepted),
        }
    }

    /// What the peer has taken, for a stall policy that judges pending calls. Of a Unix socket's queue the system
    /// reports the memory, and not the bytes (`unix_outq_len` in net/unix/af_unix.c).
    pub(in crate::watcher) fn reading(self, accepted: u64) -> Reading {
        match (self.held.kind(), self.held) {
            (_, Held::Borrowed { .. }) if !self.descriptor.is_same() => accepted.into(),
            (Kind::Unix, _) => {
                let held = self.descriptor.queued(libc::TIOCOUTQ);
                Reading::queue(accepted, held.unwrap_or(0))
            }
            (Kind::Tcp { .. } | Kind::Mptcp | Kind::Pipe | Kind::Socket, _) => {
                self.drained(accepted).into()
            }
        }
    }

    /// How many bytes the system holds for the peer (`SIOCOUTQ`; a Unix socket counts the memory around them,
    /// too); `None` where it does not tell.
    pub(in crate::watcher) fn owed(self) -> Option<u64> {
        match self.held.owned()? {
            Kind::Tcp { .. } | Kind::Mptcp | Kind::Unix => self.descriptor.queued(libc::TIOCOUTQ),
            Kind::Pipe => self.descriptor.queued(libc::FIONREAD),
            Kind::Socket => None,
        }
    }

    /// Whether the system goes on delivering what it holds, after the stream has closed.
    pub(in crate::watcher) fn delivers(self) -> bool {
        match self.held.owned() {
            Some(Kind::Tcp { .. }) => tcp::delivers(self.descriptor),
            Some(Kind::Mptcp | Kind::Unix | Kind::Pipe | Kind::Socket) => {
                self.descriptor.poll() & (libc::POLLERR | libc::POLLHUP) == 0
            }
            None => false,
        }
    }

    /// Whether `owed` is a number of bytes.
    pub(in crate::watcher) fn tells_owed_bytes(self) -> bool {
        match self.held.owned() {
            Some(Kind::Tcp { .. } | Kind::Mptcp | Kind::Pipe) => true,
            Some(Kind::Unix | Kind::Socket) | None => false,
        }
    }

    /// Makes the system discard what it still holds for the peer, after `within` without an acknowledgement. A shorter time
    /// that the socket has already stays.
    pub(in crate::watcher) fn bound_orphan(self, within: Duration) {
        match self.held.owned() {
            Some(Kind::Tcp { .. })
                if self.owed().is_some_and(|owed| owed > 0) && self.is_same() =>
            {
                tcp::limit_user_timeout(self.descriptor, within);
            }
            Some(Kind::Tcp { .. } | Kind::Mptcp | Kind::Unix | Kind::Pipe | Kind::Socket)
            | None => {}
        }
    }

    /// Whether the system holds unread input; `false` if it does not report that.
    pub(in crate::watcher) fn has_unread(self) -> bool {
        self.descriptor.has_unread()
    }

    /// How much was given to the descriptor to send, and how much of it the peer has not acknowledged; `None`
    /// where the system does not tell.
    ///
    /// `shut_down`: whether our shutdown is done, where the state of the connection no longer says so.
    pub(in crate::watcher) fn backlog(self, shut_down: bool) -> Option<Backlog> {
        match self.held.owned()? {
            Kind::Tcp { .. } => tcp::backlog(self.descriptor, shut_down),
            Kind::Pipe => pipe::backlog(self.descriptor),
            Kind::Mptcp | Kind::Unix | Kind::Socket => None,
        }
    }

    /// Whether `backlog` returns a number, now or at a later call.
    pub(in crate::watcher) fn tells_acknowledged(self) -> bool {
        match self.held.owned() {
            Some(Kind::Tcp { .. } | Kind::Pipe) => true,
            Some(Kind::Mptcp | Kind::Unix | Kind::Socket) | None => false,
        }
    }

    /// Whether our own reset wakes the reads that wait for the descriptor.
    pub(in crate::watcher) fn reset_wakes(self) -> bool {
        match self.held.owned() {
            Some(Kind::Tcp { .. } | Kind::Mptcp | Kind::Unix) => true,
            Some(Kind::Pipe | Kind::Socket) | None => false,
        }
    }

    /// Shuts both directions down. A pipe has no such call.
    pub(in crate::watcher) fn shut_down(self) {
        match self.held.owned() {
            Some(Kind::Pipe) | None => {}
            Some(Kind::Tcp { .. } | Kind::Mptcp | Kind::Socket | Kind::Unix) => {
                if self.is_same() {
                    self.descriptor.shut_down();
                }
            }
        }
    }

    /// Resets the connection now, or else when it is closed. A Unix socket knows no reset and is shut down; a
    /// pipe has nothing to do before the close.
    pub(in crate::watcher) fn reset(self) {
        if !self.is_same() {
            return;
        }
        match self.held.owned() {
            Some(Kind::Tcp { .. } | Kind::Mptcp) => self.descriptor.disconnect(),
            Some(Kind::Socket) => self.descriptor.reset_at_close(),
            Some(Kind::Unix) => self.descriptor.shut_down(),
            Some(Kind::Pipe) | None => {}
        }
    }
}

impl Held {
    fn kind(self) -> Kind {
        match self {
            Self::Owned(kind) | Self::Borrowed { kind, .. } => kind,
        }
    }

    /// `None` for a descriptor that is not ours to change.
    fn owned(self) -> Option<Kind> {
        match self {
            Self::Owned(kind) => Some(kind),
            Self::Borrowed { .. } => None,
        }
    }
}

/// Which kind of socket it is; `None` for what is no socket. A type does not prove it: safe code makes a `TcpStream` of any
/// descriptor. Only sockets have a protocol.
fn kind_of_socket(descriptor: Descriptor) -> io::Result<Option<Kind>> {
    match descriptor.int(libc::SO_PROTOCOL) {
        None => Ok(None),
        protocol => socket_kind(descriptor, protocol).map(Some),
    }
}

/// Which kind of socket it is. A listener and a datagram socket are errors, because neither has a connection that could end.
fn socket_kind(descriptor: Descriptor, protocol: Option<i32>) -> io::Result<Kind> {
    // The protocol first: it is TCP for most sockets, and then one other question is enough.
    let kind = match protocol {
        Some(libc::IPPROTO_TCP) => match tcp::state_and_control_bytes(descriptor) {
            Some((tcp::LISTEN, _)) => return Err(listener()),
            Some((_, control_bytes)) => {
                let control_bytes = control_bytes.and_then(|bytes| u8::try_from(bytes).ok());
                return Ok(Kind::Tcp { control_bytes });
            }
            None => Kind::Socket,
        },
        Some(libc::IPPROTO_MPTCP) => Kind::Mptcp,
        _ => match descriptor.int(libc::SO_DOMAIN) {
            Some(libc::AF_UNIX) => Kind::Unix,
            _ => Kind::Socket,
        },
    };
    if descriptor.int(libc::SO_ACCEPTCONN) == Some(1) {
        return Err(listener());
    }
    match descriptor.int(libc::SO_TYPE) {
        Some(libc::SOCK_STREAM | libc::SOCK_SEQPACKET) => Ok(kind),
        None => Err(not_open()),
        Some(_) => Err(refused(
            "a datagram socket",
            "it has no connection that could end; use a time limit of the protocol",
        )),
    }
}

/// `O_PATH` gives such a descriptor of a socket's or a FIFO's name (open(2)).
fn not_open() -> io::Error {
    refused(
        "a name in the file system",
        "its descriptor was opened with O_PATH; open or connect it",
    )
}

fn listener() -> io::Error {
    refused(
        "a listener",
        "accept its connections and wrap those, or use MonitoredListener",
    )
}

fn refused(what: &str, instead: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        format!("hangup: cannot watch {what}: {instead}"),
    )
}
