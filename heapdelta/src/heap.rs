//! What the allocator of the process has in use.

use crate::sys;
use std::sync::atomic::Ordering;
use std::{fmt, io};

/// What the allocator of the process has in use, over all its threads, in bytes.
///
/// | platform | `heap_used` | `mmap_used` | `heap_count` |
/// |---|---|---|---|
/// | Linux with glibc 2.33 or later | `mallinfo2().uordblks` | `mallinfo2().hblkhd` | no |
/// | macOS | `size_in_use` of all malloc zones | no: large blocks are in `heap_used` | no |
/// | Windows | the busy blocks of all heaps (`HeapWalk`) | no | heaps of the process |
///
/// Glibc counts a whole chunk: 16 bytes take 32. It counts chunks in its per-thread cache as in use, too: seven of each
/// size up to 1032 bytes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapInfo {
    /// Bytes in use on the heap.
    pub heap_used: u64,
    /// Bytes in large blocks that the allocator maps one by one; in glibc those of 128 KiB and more at first.
    pub mmap_used: Option<u64>,
    /// How many heaps there are: on Windows, where `HeapCreate` makes another one.
    pub heap_count: Option<u64>,
}

/// Asks the allocator what is in use. C's blocks are counted as Rust's are.
///
/// A program's own global allocator (jemalloc, mimalloc) is not C's: its blocks are not here. Count them with
/// [`CountingAllocator`](crate::CountingAllocator) in front of it.
///
/// # Errors
/// [`Unsupported`](io::ErrorKind::Unsupported) where the allocator tells nothing: on musl, the BSDs and others.
///
/// # Examples
/// ```
/// # #[cfg(all(target_os = "linux", target_env = "gnu"))] {
/// let before = heapdelta::heap_info()?.heap_used;
/// let block = std::hint::black_box(vec![0_u8; 4096]);
/// assert!(heapdelta::heap_info()?.heap_used >= before + 4096);
/// drop(block);
/// # }
/// # std::io::Result::Ok(())
/// ```
pub fn heap_info() -> io::Result<HeapInfo> {
    sys::heap_info().ok_or_else(unsupported)
}

/// Gives free memory of the allocator back to the system: glibc's `malloc_trim`, macOS's
/// `malloc_zone_pressure_relief`, Windows's `HeapCompact`.
///
/// It may take milliseconds, and what it gives back must be faulted in again: it is for tests, not for every request.
///
/// # Errors
/// [`Unsupported`](io::ErrorKind::Unsupported) where there is no such call.
///
/// # Examples
/// ```
/// # #[cfg(all(target_os = "linux", target_env = "gnu"))] {
/// drop(std::hint::black_box(vec![1_u8; 100_000]));
/// heapdelta::heap_trim()?;
/// # }
/// # std::io::Result::Ok(())
/// ```
pub fn heap_trim() -> io::Result<()> {
    if sys::heap_trim() {
        Ok(())
    } else {
        Err(unsupported())
    }
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, sys::WHY_UNSUPPORTED)
}

/// What Rust has in use through [`CountingAllocator`](crate::CountingAllocator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// The bytes that were asked for, without the allocator's rounding.
    pub bytes: u64,
    /// The blocks.
    pub blocks: u64,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {} blocks", self.bytes, self.blocks)
    }
}

/// What Rust has in use, or `None` if no [`CountingAllocator`](crate::CountingAllocator) has served a block yet.
///
/// Without one it answers `None`; see [`CountingAllocator`](crate::CountingAllocator) for an example with one.
///
/// # Examples
/// ```
/// assert_eq!(heapdelta::counted(), None);
/// ```
#[must_use]
pub fn counted() -> Option<Counted> {
    sys::COUNTING.load(Ordering::Relaxed).then(|| Counted {
        bytes: sys::BYTES.load(Ordering::Relaxed) as u64,
        blocks: sys::BLOCKS.load(Ordering::Relaxed) as u64,
    })
}
