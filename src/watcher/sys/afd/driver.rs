//! The calls of the socket driver, and the memory that they share with the system.
//!
//! The system writes to an [`Operation`] until its completion is taken from the port. So a pending operation owns a
//! count of its `Arc`, and [`Driver::wait`] takes that count back. An operation whose completion never comes
//! is leaked, never freed too early.
//!
//! `\Device\Afd` and its poll are not documented by Microsoft. The numbers and structures are those that mio and wepoll
//! use, and Wine's `include/wine/afd.h` names them.

#![allow(unsafe_code)]

use super::super::contract::{BATCH, Raw};
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{from_mut, null, null_mut};
use std::sync::Arc;
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{FILE_OPEN, NtCancelIoFileEx, NtCreateFile};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Foundation::{
    INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError, STATUS_CANCELLED, STATUS_PENDING,
    STATUS_SUCCESS, UNICODE_STRING,
};
use windows_sys::Win32::Networking::WinSock::{
    SIO_BASE_HANDLE, SIO_BSP_HANDLE_POLL, WSAGetLastError, WSAIoctl,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE, SYNCHRONIZE};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, IO_STATUS_BLOCK, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};

/// The peer's FIN has arrived.
pub(super) const DISCONNECT: u32 = 0x08;
/// The connection was reset, or timed out.
pub(super) const ABORT: u32 = 0x10;
/// The last handle of the socket was closed.
pub(super) const LOCAL_CLOSE: u32 = 0x20;

const IOCTL_AFD_POLL: u32 = 0x0001_2024;

/// The largest number of layered providers above a socket's base provider.
const LAYERS: usize = 8;

/// A handle of the driver, and the completion port to which its polls report.
#[derive(Debug)]
pub(super) struct Driver {
    afd: OwnedHandle,
    port: OwnedHandle,
}

/// One poll of one socket.
pub(super) struct Operation {
    token: u64,
    status: UnsafeCell<IO_STATUS_BLOCK>,
    info: UnsafeCell<PollInfo>,
}

// SAFETY: the cells are written by the system while the operation is pending, and read once, by `Driver::wait`,
// after its completion was taken from the port. Nothing else looks into them: `cancel` passes an address.
unsafe impl Send for Operation {}
// SAFETY: as above.
unsafe impl Sync for Operation {}

/// An operation that is complete.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) operation: Arc<Operation>,
    /// What happened to the socket; `None` if the poll failed.
    pub(super) events: Option<u32>,
    pub(super) is_cancelled: bool,
}

/// `AFD_POLL_INFO`, with one handle.
#[repr(C)]
struct PollInfo {
    /// In units of 100 ns.
    timeout: i64,
    handles: u32,
    exclusive: u32,
    handle: HandleInfo,
}

/// `AFD_POLL_HANDLE_INFO`.
#[repr(C)]
struct HandleInfo {
    handle: usize,
    events: u32,
    status: NTSTATUS,
}

impl Operation {
    pub(super) fn token(&self) -> u64 {
        self.token
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Driver {
    /// Opens the device and a completion port for its polls.
    pub(super) fn open() -> io::Result<Self> {
        let afd = open_afd()?;
        // SAFETY: the handle is open, and no port is passed: a new one is made.
        let port = unsafe { CreateIoCompletionPort(afd.as_raw_handle(), null_mut(), 1, 1) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made the handle, and nothing else owns it.
        let port = unsafe { OwnedHandle::from_raw_handle(port) };
        Ok(Self { afd, port })
    }

    /// Begins a poll of a socket for `events`. It gets exactly one completion.
    pub(super) fn poll(&self, socket: Raw, events: u32, token: u64) -> io::Result<Arc<Operation>> {
        let operation = Arc::new(Operation {
            token,
            status: UnsafeCell::new(IO_STATUS_BLOCK::default()),
            info: UnsafeCell::new(PollInfo {
                timeout: i64::MAX,
                handles: 1,
                exclusive: 0,
                handle: HandleInfo {
                    handle: base(socket)?,
                    events: events | LOCAL_CLOSE,
                    status: STATUS_SUCCESS,
                },
            }),
        });
        let size = size_of::<PollInfo>() as u32;
        let context = Arc::into_raw(operation.clone());
        let (status, info) = (operation.status.get(), operation.info.get().cast());
        // SAFETY: `status` and `info` point into the operation, which lives until the completion is taken: the
        // count in `context` keeps it. They are cells, which the system may write to. `info` is `size` bytes of
        // both input and output. The driver checks the socket's number, and answers an error for one without a
        // socket. The handle has a port, so the context comes back in a completion, also if the call is done at once
        // (no `SetFileCompletionNotificationModes` says otherwise).
        let begun = unsafe {
            (*status).Anonymous.Status = STATUS_PENDING;
            NtDeviceIoControlFile(
                self.afd.as_raw_handle(),
                null_mut(),
                None,
                context.cast(),
                status,
                IOCTL_AFD_POLL,
                info,
                size,
                info,
                size,
            )
        };
        if is_error(begun) {
            // SAFETY: the count that was passed as the context. A request that fails at once leaves no
            // completion, so nothing else takes it back.
            drop(unsafe { Arc::from_raw(context) });
            return Err(from_status(begun));
        }
        Ok(operation)
    }

    /// Cancels a poll, which still gets its completion. A poll that is already complete is not changed.
    pub(super) fn cancel(&self, operation: &Operation) {
        let mut status = IO_STATUS_BLOCK::default();
        // SAFETY: the address of the operation's status block names the request, and is not followed. No other
        // request has the same: `operation` is alive. The other pointer is to a live block of ours.
        unsafe {
            NtCancelIoFileEx(
                self.afd.as_raw_handle(),
                operation.status.get(),
                &raw mut status,
            );
        }
    }

    /// Makes [`wait`](Self::wait) return.
    pub(super) fn wake(&self) {
        // SAFETY: the port is open, and the packet carries no pointer.
        unsafe { PostQueuedCompletionStatus(self.port.as_raw_handle(), 0, 0, null()) };
    }

    /// Waits for the next completions, or for [`wake`](Self::wake).
    pub(super) fn wait(&self, completions: &mut Vec<Completion>) -> io::Result<()> {
        let mut entries = [OVERLAPPED_ENTRY::default(); BATCH];
        let mut count = 0;
        // SAFETY: the port is open; the pointers are to live values, and the array is as long as it is said to be.
        let waited = unsafe {
            GetQueuedCompletionStatusEx(
                self.port.as_raw_handle(),
                entries.as_mut_ptr(),
                BATCH as u32,
                from_mut(&mut count),
                u32::MAX,
                0,
            )
        };
        if waited == 0 {
            return Err(io::Error::last_os_error());
        }
        for entry in entries.iter().take(count as usize) {
            let context: *const Operation = entry.lpOverlapped.cast_const().cast();
            // `wake` sends none.
            if context.is_null() {
                continue;
            }
            // SAFETY: only requests of `poll` report to this port, which is private to the driver. The context is the
            // count that `poll` gave to this request, and its completion comes once.
            let operation = unsafe { Arc::from_raw(context) };
            // SAFETY: the request is complete, so the system writes to the cells no more; nothing else reads them.
            let (status, handles, happened) = unsafe {
                let info = &*operation.info.get();
                let status = (*operation.status.get()).Anonymous.Status;
                (status, info.handles, info.handle.events)
            };
            completions.push(Completion {
                operation,
                events: (status == STATUS_SUCCESS && handles > 0).then_some(happened),
                is_cancelled: status == STATUS_CANCELLED,
            });
        }
        Ok(())
    }
}

/// Opens a handle of the socket driver. The name is not documented by Microsoft; mio and wepoll rely on it too.
fn open_afd() -> io::Result<OwnedHandle> {
    // Whatever follows the device's name only names the handle.
    let mut name: Vec<u16> = r"\Device\Afd\Hangup".encode_utf16().collect();
    let bytes = size_of_val(name.as_slice()) as u16;
    let string = UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_mut_ptr(),
    };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        ObjectName: &raw const string,
        ..OBJECT_ATTRIBUTES::default()
    };
    let (mut afd, mut status) = (INVALID_HANDLE_VALUE, IO_STATUS_BLOCK::default());
    // SAFETY: the pointers are to live values of the types that the call expects, and `name` outlives it. The
    // request is synchronous: the call returns when it is done.
    let opened = unsafe {
        NtCreateFile(
            &raw mut afd,
            SYNCHRONIZE,
            &raw const attributes,
            &raw mut status,
            null(),
            0,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            FILE_OPEN,
            0,
            null(),
            0,
        )
    };
    if opened != STATUS_SUCCESS {
        return Err(from_status(opened));
    }
    // SAFETY: the call has just opened the handle, and nothing else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(afd) })
}

/// The handle that the driver knows. A layered provider, such as a firewall or a proxy, gives the program handles of
/// its own.
fn base(socket: Raw) -> io::Result<usize> {
    let mut above = socket as usize;
    for _ in 0..LAYERS {
        if let Ok(base) = handle_below(above, SIO_BASE_HANDLE) {
            return Ok(base);
        }
        // Some providers answer this question alone, by the handle one layer below (as wepoll found).
        match handle_below(above, SIO_BSP_HANDLE_POLL)? {
            below if below == above => break,
            below => above = below,
        }
    }
    Err(io::ErrorKind::Unsupported.into())
}

/// Asks a provider for the handle below `socket` (`SIO_BASE_HANDLE` and its like, WSAIoctl).
fn handle_below(socket: usize, request: u32) -> io::Result<usize> {
    let (mut handle, mut bytes) = (0_usize, 0_u32);
    // SAFETY: the request fills in a handle, for which there is room, and the other pointer is to a live number. No
    // `OVERLAPPED` is passed, so the call is done when it returns. Winsock checks the socket's number.
    let failed = unsafe {
        WSAIoctl(
            socket,
            request,
            null(),
            0,
            from_mut(&mut handle).cast(),
            size_of::<usize>() as u32,
            &raw mut bytes,
            null_mut(),
            None,
        )
    };
    if failed != 0 {
        // SAFETY: reads a number of this thread.
        return Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() }));
    }
    Ok(handle)
}

/// The two highest bits of a status are its severity; 3 is an error.
fn is_error(status: NTSTATUS) -> bool {
    status.cast_unsigned() >> 30 == 3
}

fn from_status(status: NTSTATUS) -> io::Error {
    // SAFETY: a function of a number.
    io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(status) }.cast_signed())
}
