//! One watched descriptor, and the system calls that the kinds of descriptors share.
//!
//! A monitor never owns a descriptor: it knows only the number. Safe code can close the descriptor without the stream
//! (`get_mut`, a wrapped stream that drops its socket), and the number may then name another file. So the inode is
//! compared before each call that has an effect, and before a disconnect is reported. Between the comparison and the
//! call another thread may still exchange the file. Only a duplicate of the descriptor would prevent that, and it would
//! keep the connection open.
//!
//! A socket type of tokio's closes its descriptor only when it is dropped. As long as no code has got `&mut` of it, the
//! number cannot name another file, and nothing is compared: see [`Known`](super::known::Known).
//!
//! Each call here is sound for any number: the kernel answers EBADF for one without a file, and writes only
//! through the pointers that it is given.

#![allow(unsafe_code)]

use super::super::contract::{Observation, Raw};
use crate::errors::CloseReason;
use crate::state::Event;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::num::NonZeroU64;

/// The option, and the type of its message (include/uapi/linux/tcp.h).
const TCP_INQ: i32 = 36;
const TCP_ZEROCOPY_RECEIVE: i32 = 35;

/// Whether the next byte to read is behind the urgent one (tcp(7); `asm/sockios.h`).
const SIOCATMARK: libc::Ioctl = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6"
)) {
    0x4004_7307
} else {
    0x8905
};

/// What a closed connection shows about an urgent byte (tcp(7)).
enum Urgent {
    /// There is none that divides the unread bytes.
    None,
    /// One is unread. `by_fin`: whether the peer's FIN has arrived too.
    Closed { by_fin: bool },
    /// One was read, and the bytes before it are read too. What follows cannot be counted.
    Unknown,
}

/// The number of an inode, which is never zero (`get_next_ino` in fs/inode.c).
pub(super) fn inode(number: impl Into<u64>) -> Option<NonZeroU64> {
    NonZeroU64::new(number.into())
}

/// The number of a descriptor, and the file that it named when it was registered.
#[derive(Debug, Clone, Copy)]
pub(in crate::watcher) struct Descriptor {
    pub(super) raw: Raw,
    /// No other open socket or pipe has the same (sockfs and pipefs number them one by one). `None` while the number
    /// cannot name another file.
    pub(super) inode: Option<NonZeroU64>,
}

impl Descriptor {
    /// Whether the number still names the file that was registered.
    pub(super) fn is_same(self) -> bool {
        self.inode.is_none() || self.inode == self.present_inode()
    }

    /// Notes which file the number names, because from now on it may come to name another one.
    pub(super) fn note_inode(&mut self) {
        if self.inode.is_none() {
            // A number that the system does not tell is not that of any file.
            self.inode = self.present_inode().or(Some(NonZeroU64::MAX));
        }
    }

    fn present_inode(self) -> Option<NonZeroU64> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the pointer is to room for the structure.
        if unsafe { libc::fstat(self.raw, stat.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: the kernel has filled in the structure.
        let stat = unsafe { stat.assume_init() };
        inode(stat.st_ino)
    }

    /// An option of `N` bytes; `None` where the socket does not have it, or the kernel fills in fewer.
    pub(super) fn option<const N: usize>(self, level: i32, name: i32) -> Option<[u8; N]> {
        let mut value = [0_u8; N];
        let mut length = libc::socklen_t::try_from(N).ok()?;
        // SAFETY: the two pointers are to live bytes and to their number.
        let done = unsafe {
            libc::getsockopt(
                self.raw,
                level,
                name,
                value.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (done == 0 && usize::try_from(length) == Ok(N)).then_some(value)
    }

    /// An option that is an int.
    pub(super) fn int(self, name: i32) -> Option<i32> {
        self.option(libc::SOL_SOCKET, name).map(i32::from_ne_bytes)
    }

    /// The result of poll(2) without waiting: `POLLERR`, `POLLHUP` and `POLLRDHUP`, or nothing.
    pub(super) fn poll(self) -> libc::c_short {
        let mut polled = libc::pollfd {
            fd: self.raw,
            events: libc::POLLRDHUP,
            revents: 0,
        };
        // SAFETY: the pointer is to one live structure.
        match unsafe { libc::poll(&raw mut polled, 1, 0) } {
            1.. if polled.revents & libc::POLLNVAL == 0 => polled.revents,
            _ => 0,
        }
    }

    /// As [`poll`](Self::poll), for the one file that `epoll` holds, whatever descriptors it has. It asks as poll(2)
    /// does, because the file was added without `EPOLLET`, and the flags have the same values.
    pub(super) fn poll_held(epoll: Raw) -> libc::c_short {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: the pointer is to one live structure.
        match unsafe { libc::epoll_wait(epoll, &raw mut event, 1, 0) } {
            // Only flags that fit were asked for.
            1 => event.events as libc::c_short,
            _ => 0,
        }
    }

    /// The bytes that `SIOCOUTQ` (tcp(7), unix(7)) or `FIONREAD` (pipe(7)) counts.
    pub(super) fn queued(self, request: libc::Ioctl) -> Option<u64> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: both requests fill in an int through the pointer.
        let done = unsafe { libc::ioctl(self.raw, request, &raw mut bytes) };
        (done == 0).then(|| u64::try_from(bytes).ok())?
    }

    /// Reads `SO_ERROR`, which the kernel reports once.
    pub(super) fn take_error(self) -> Option<Observation> {
        if !self.is_same() {
            return None;
        }
        let errno = self.int(libc::SO_ERROR)?;
        let event = match errno {
            0 => return None,
            libc::EPIPE => Event::Reset { after_fin: true },
            libc::ECONNRESET => Event::Reset { after_fin: false },
            _ => Event::Failed(CloseReason::from(&io::Error::from_raw_os_error(errno))),
        };
        Some(Observation {
            error: Some(errno),
            ..event.into()
        })
    }

    /// Whether the peer's FIN had arrived on a TCP connection that is closed now; `None` if the system does not report it.
    ///
    /// If nothing is unread, one question shows it: see [`is_input_over`](Self::is_input_over).
    ///
    /// The hint of `TCP_INQ` (Linux 4.18) counts unread bytes and the FIN (`tcp_inq_hint` in net/ipv4/tcp.c).
    /// `FIONREAD` counts unread bytes alone (tcp(7)), and only those before an urgent byte. The hint comes with a message
    /// that is only peeked at. A peek returns the socket's error if there is one, so that error has to be taken before.
    pub(super) fn has_received_fin(self) -> Option<bool> {
        if !self.is_same() {
            return None;
        }
        if let Some(is_over) = self.is_input_over() {
            return Some(is_over);
        }
        match self.peek_urgent() {
            Urgent::None => {}
            Urgent::Closed { by_fin } => return Some(by_fin),
            Urgent::Unknown => return None,
        }
        let before = self
            .option(libc::IPPROTO_TCP, TCP_INQ)
            .map(u32::from_ne_bytes)?;
        self.set_u32(libc::IPPROTO_TCP, TCP_INQ, 1);
        let unread = self.queued(libc::FIONREAD);
        let hint = self.peek_hint();
        let still = self.queued(libc::FIONREAD);
        if before == 0 {
            self.set_u32(libc::IPPROTO_TCP, TCP_INQ, 0);
        }
        // Another thread may read at the same time.
        let unread = unread.filter(|_| unread == still)?;
        match hint?.checked_sub(unread) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        }
    }

    /// Whether the peer's FIN has arrived, if nothing is unread before it and no place of an urgent byte; `None` if the
    /// system does not report it.
    ///
    /// `TCP_ZEROCOPY_RECEIVE` (Linux 4.18) without room for anything: it takes nothing, and tells how many bytes are unread.
    /// If there are none, it fails with EIO after a FIN (`tcp_zerocopy_receive` in net/ipv4/tcp.c). From a page of unread
    /// bytes on it fails with EINVAL.
    fn is_input_over(self) -> Option<bool> {
        // `address`, `length`, and `recv_skip_hint` of `struct tcp_zerocopy_receive`.
        let mut room = [0_u32; 4];
        let mut length = size_of_val(&room) as libc::socklen_t;
        // SAFETY: the two pointers are to live numbers and to their length. The kernel writes nothing to the address of
        // zero, where no socket is mapped.
        let done = unsafe {
            libc::getsockopt(
                self.raw,
                libc::IPPROTO_TCP,
                TCP_ZEROCOPY_RECEIVE,
                room.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let [_, _, _, unread] = room;
        match done {
            0 if unread == 0 && length as usize == size_of_val(&room) => Some(false),
            0 => None,
            _ => match io::Error::last_os_error().raw_os_error() {
                Some(libc::EIO) => Some(true),
                _ => None,
            },
        }
    }

    /// Peeks at the urgent byte of a closed connection. While one is unread, the call fails with ENOTCONN unless the
    /// peer's FIN has arrived (`tcp_recv_urg` in net/ipv4/tcp.c).
    fn peek_urgent(self) -> Urgent {
        let Err(error) = self.peek(libc::MSG_OOB) else {
            return Urgent::Closed { by_fin: true };
        };
        match error.raw_os_error() {
            Some(libc::ENOTCONN) => Urgent::Closed { by_fin: false },
            // There is none, or it is among the other bytes.
            Some(libc::EINVAL) if self.int(libc::SO_OOBINLINE) == Some(1) => Urgent::None,
            // There is none, or the program has read it. Its place still divides the unread bytes then.
            Some(libc::EINVAL) if self.queued(SIOCATMARK) == Some(0) => Urgent::None,
            _ => Urgent::Unknown,
        }
    }

    /// Whether input is unread. `FIONREAD` counts what is in front of an urgent byte (tcp(7)), so nothing if that comes next.
    pub(super) fn has_unread(self) -> bool {
        let hides = || self.queued(SIOCATMARK) == Some(1) && self.poll() & libc::POLLERR == 0;
        match self.queued(libc::FIONREAD) {
            Some(0) => hides() && self.peek(0).is_ok_and(|bytes| bytes > 0),
            counted => counted.is_some(),
        }
    }

    /// Peeks at a byte, and returns how many there were.
    fn peek(self, flags: i32) -> io::Result<usize> {
        let (mut byte, flags) = (0_u8, flags | libc::MSG_PEEK | libc::MSG_DONTWAIT);
        // SAFETY: the pointer is to room for one byte.
        let bytes = unsafe { libc::recv(self.raw, (&raw mut byte).cast(), 1, flags) };
        usize::try_from(bytes).map_err(|_| io::Error::last_os_error())
    }

    /// The number of `TCP_INQ`, which recvmsg(2) returns beside the message.
    fn peek_hint(self) -> Option<u64> {
        let mut byte = 0_u8;
        let mut part = libc::iovec {
            iov_base: (&raw mut byte).cast(),
            iov_len: 1,
        };
        // Larger than the header with a number and those of all time stamps (`tcp_recv_timestamp` in net/ipv4/tcp.c),
        // and aligned for a header.
        let mut control = [0_u64; 32];
        // SAFETY: all zeros are a value of the structure.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: the message's pointers are to a byte, to the control buffer, and have their lengths.
        if unsafe { libc::recvmsg(self.raw, &raw mut message, flags) } < 0 {
            return None;
        }
        // SAFETY: the kernel has filled in the message, and its control buffer is alive.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: a header that is not null is within the control buffer.
        while let Some(header) = unsafe { next.as_ref() } {
            if (header.cmsg_level, header.cmsg_type) == (libc::IPPROTO_TCP, TCP_INQ) {
                // SAFETY: a message of this type carries an int (`put_cmsg` in `tcp_recvmsg`), perhaps not aligned.
                let hint = unsafe { libc::CMSG_DATA(header).cast::<i32>().read_unaligned() };
                return u64::try_from(hint).ok();
            }
            // SAFETY: the header is of this message.
            next = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
        }
        None
    }

    /// `event`, unless the number now names another file.
    pub(super) fn report(self, event: Event) -> Observation {
        match self.is_same() {
            true => event.into(),
            false => Observation::default(),
        }
    }

    /// Resets a connection immediately, by `connect` to an address of the family AF_UNSPEC (connect(2);
    /// `tcp_disconnect` in net/ipv4/tcp.c). This sends the reset and frees the queued data. If it fails, the close
    /// sends the reset. (`SO_LINGER` alone sends a reset only at the close, and `shutdown` sends a FIN after the
    /// queued data.)
    pub(super) fn disconnect(self) {
        // SAFETY: all zeros are a value of the structure, and AF_UNSPEC is zero.
        let nowhere: libc::sockaddr = unsafe { zeroed() };
        let length = size_of::<libc::sockaddr>() as libc::socklen_t;
        // SAFETY: the pointer is to a live address of that length.
        if unsafe { libc::connect(self.raw, &raw const nowhere, length) } != 0 {
            self.reset_at_close();
        }
    }

    /// Makes the close of the descriptor send a reset.
    pub(super) fn reset_at_close(self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let length = size_of::<libc::linger>() as libc::socklen_t;
        let value = (&raw const linger).cast();
        // SAFETY: the pointer is to a live structure of that length. An error means that the connection is
        // over already.
        unsafe { libc::setsockopt(self.raw, libc::SOL_SOCKET, libc::SO_LINGER, value, length) };
    }

    /// Sets a numeric option. An error means that the socket does not have the option, and is ignored.
    pub(super) fn set_u32(self, level: i32, name: i32, value: u32) {
        let length = size_of::<u32>() as libc::socklen_t;
        // SAFETY: the pointer is to a live number of that length.
        unsafe { libc::setsockopt(self.raw, level, name, (&raw const value).cast(), length) };
    }

    /// Shuts both directions down.
    pub(super) fn shut_down(self) {
        // SAFETY: no memory is passed. An error means that the connection is over already.
        unsafe { libc::shutdown(self.raw, libc::SHUT_RDWR) };
    }
}
