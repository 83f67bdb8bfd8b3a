//! Every call into C, and the allocator: the one file with `unsafe`. The functions return plain numbers, and `None`
//! where the platform does not tell.

use crate::heap::HeapInfo;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Set by the first allocation that a [`CountingAllocator`] serves.
pub(crate) static COUNTING: AtomicBool = AtomicBool::new(false);
/// The bytes and the blocks in use through every [`CountingAllocator`].
pub(crate) static BYTES: AtomicUsize = AtomicUsize::new(0);
pub(crate) static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// A global allocator that counts the bytes in use, and leaves the work to another one.
///
/// With it a [`LeakTest`](crate::LeakTest) has one more column, [`Metric::Rust`](crate::Metric::Rust): the bytes that
/// Rust asked for, exactly, without the allocator's rounding. A leak in `heap` that is not in `rust` is C's. On
/// platforms where the allocator itself tells nothing (musl), and with allocators that tell nothing (mimalloc),
/// it is the only column that sees small leaks.
///
/// It costs four atomic operations for a block's life. The counters are the process's: several allocators of this
/// type add to the same ones.
///
/// # Examples
/// ```
/// use heapdelta::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::system();
///
/// let small = std::hint::black_box(vec![0_u8; 16]);
/// let before = heapdelta::counted().expect("it has served a block").bytes;
/// let large = std::hint::black_box(vec![0_u8; 1 << 20]);
/// let grown = heapdelta::counted().expect("it has served two").bytes - before;
/// assert!(grown >= 1 << 20);
/// drop((small, large));
/// ```
/// Another allocator is wrapped with [`new`](Self::new):
/// `static ALLOCATOR: CountingAllocator<MiMalloc> = CountingAllocator::new(MiMalloc);`.
#[derive(Debug, Default)]
pub struct CountingAllocator<A = System> {
    inner: A,
}

impl CountingAllocator {
    /// Counts in front of [`System`].
    #[must_use]
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Counts in front of `inner`.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

fn count(bytes: usize) {
    COUNTING.store(true, Ordering::Relaxed);
    BYTES.fetch_add(bytes, Ordering::Relaxed);
    BLOCKS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: Each method passes its arguments on to `inner`, unchanged, and returns what `inner` returned. `inner` keeps
// the contract of `GlobalAlloc`, so this type does. The counters are atomics: they neither allocate nor unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, and `inner` has the same one.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            count(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            count(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller got `block` from this allocator with `layout`, so it came from `inner` with `layout`.
        unsafe { self.inner.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the caller vouches for `size`.
        let moved = unsafe { self.inner.realloc(block, layout, size) };
        if !moved.is_null() {
            let growth = size.wrapping_sub(layout.size());
            BYTES.fetch_add(growth, Ordering::Relaxed);
        }
        moved
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod platform {
    use super::HeapInfo;

    pub(crate) const WHY_UNSUPPORTED: &str = "";

    pub(crate) fn heap_info() -> Option<HeapInfo> {
        // SAFETY: `mallinfo2` takes nothing, and locks each arena while it reads it.
        let info = unsafe { libc::mallinfo2() };
        Some(HeapInfo {
            heap_used: info.uordblks as u64,
            mmap_used: Some(info.hblkhd as u64),
            heap_count: None,
        })
    }

    pub(crate) fn heap_trim() -> bool {
        // SAFETY: `malloc_trim` locks each arena, and gives back free memory only.
        unsafe { libc::malloc_trim(0) };
        true
    }

    /// The largest block that the thread's cache takes, and the step between its sizes: `tcache_max_bytes` and
    /// `MALLOC_ALIGNMENT` of glibc's `malloc.c` on 64-bit machines.
    const LARGEST: usize = 1032;
    const STEP: usize = 16;
    /// More than the cache keeps of a size: 7 (glibc 2.26) or 16 (2.42).
    const OF_EACH: usize = 17;

    /// Fills the cache of the calling thread. `mallinfo2` counts what is in it as in use; a cache that is always full adds
    /// always the same.
    pub(crate) fn fill_thread_cache() {
        let mut blocks = [std::ptr::null_mut(); OF_EACH];
        for size in (STEP + 8..=LARGEST).step_by(STEP) {
            for block in &mut blocks {
                // SAFETY: `malloc` takes any size, and its answer is freed below, a null pointer too.
                *block = unsafe { libc::malloc(size) };
            }
            // The optimiser removes blocks that nobody looks at.
            std::hint::black_box(&mut blocks);
            for block in blocks {
                // SAFETY: the block is from `malloc`, and was never used.
                unsafe { libc::free(block) };
            }
        }
    }
}

#[cfg(target_os = "macos")]
mod platform {
    use super::HeapInfo;
    use crate::memory::Memory;
    use std::mem::{MaybeUninit, size_of};
    use std::ptr;

    pub(crate) const WHY_UNSUPPORTED: &str = "";

    unsafe extern "C" {
        /// `malloc/malloc.h`, since macOS 10.7.
        fn malloc_zone_pressure_relief(
            zone: *mut libc::malloc_zone_t,
            goal: libc::size_t,
        ) -> libc::size_t;
    }

    pub(crate) fn heap_info() -> Option<HeapInfo> {
        let mut statistics = MaybeUninit::<libc::malloc_statistics_t>::zeroed();
        // SAFETY: a null zone means all zones; the pointer is to a writable `malloc_statistics_t`.
        unsafe { libc::malloc_zone_statistics(ptr::null_mut(), statistics.as_mut_ptr()) };
        // SAFETY: it is zeroed or written, and four integers have no invalid value.
        let statistics = unsafe { statistics.assume_init() };
        Some(HeapInfo {
            heap_used: statistics.size_in_use as u64,
            mmap_used: None,
            heap_count: None,
        })
    }

    pub(crate) fn heap_trim() -> bool {
        // SAFETY: a null zone means all zones, and goal 0 means as much as can be had.
        unsafe { malloc_zone_pressure_relief(ptr::null_mut(), 0) };
        true
    }

    fn task() -> Option<libc::proc_taskinfo> {
        let mut info = MaybeUninit::<libc::proc_taskinfo>::zeroed();
        let size = size_of::<libc::proc_taskinfo>() as libc::c_int;
        // SAFETY: the buffer is writable, and of the length that is passed.
        let written = unsafe {
            libc::proc_pidinfo(
                libc::getpid(),
                libc::PROC_PIDTASKINFO,
                0,
                info.as_mut_ptr().cast(),
                size,
            )
        };
        // SAFETY: it is zeroed or written, and integers have no invalid value.
        (written == size).then(|| unsafe { info.assume_init() })
    }

    pub(crate) fn memory() -> Memory {
        let mut usage = MaybeUninit::<libc::rusage_info_v4>::zeroed();
        // SAFETY: the buffer is writable, and a `rusage_info_v4` is what the flavor asks for.
        let result = unsafe {
            libc::proc_pid_rusage(
                libc::getpid(),
                libc::RUSAGE_INFO_V4,
                usage.as_mut_ptr().cast(),
            )
        };
        // SAFETY: it is zeroed or written, and integers have no invalid value.
        let usage = (result == 0).then(|| unsafe { usage.assume_init() });
        let task = task();
        Memory {
            uss: usage.map(|usage| usage.ri_phys_footprint),
            rss: task.map(|task| task.pti_resident_size),
            vms: task.map(|task| task.pti_virtual_size),
        }
    }

    pub(crate) fn threads() -> Option<u64> {
        task().and_then(|task| u64::try_from(task.pti_threadnum).ok())
    }
}

#[cfg(windows)]
mod platform {
    use super::HeapInfo;
    use crate::memory::Memory;
    use std::mem::size_of;
    use windows_sys::Win32::Foundation::HANDLE;
    use windows_sys::Win32::System::Memory::{
        GetProcessHeap, GetProcessHeaps, HeapCompact, HeapLock, HeapUnlock, HeapWalk,
        PROCESS_HEAP_ENTRY,
    };
    use windows_sys::Win32::System::ProcessStatus::{
        K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS_EX,
    };
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

    pub(crate) const WHY_UNSUPPORTED: &str = "GetProcessHeaps or HeapWalk failed";

    /// `PROCESS_HEAP_ENTRY_BUSY` of winnt.h: the block is in use.
    const BUSY: u16 = 4;

    /// The heaps of the process; those past the 64th are left out.
    fn heaps() -> ([HANDLE; 64], usize) {
        let mut heaps = [std::ptr::null_mut(); 64];
        // SAFETY: the buffer has room for as many handles as are asked for.
        let count = unsafe { GetProcessHeaps(64, heaps.as_mut_ptr()) };
        (heaps, (count as usize).min(64))
    }

    fn in_use(heap: HANDLE) -> Option<u64> {
        // SAFETY: a handle that `GetProcessHeaps` returned. The lock keeps the walk consistent, and is recursive.
        if unsafe { HeapLock(heap) } == 0 {
            return None;
        }
        let mut entry = PROCESS_HEAP_ENTRY::default();
        let mut bytes = 0;
        // SAFETY: the heap is locked; a zeroed entry begins the walk, and each call gets the entry of the last.
        while unsafe { HeapWalk(heap, &raw mut entry) } != 0 {
            if entry.wFlags & BUSY != 0 {
                bytes += u64::from(entry.cbData);
            }
        }
        // SAFETY: it was locked above, by this thread.
        unsafe { HeapUnlock(heap) };
        Some(bytes)
    }

    pub(crate) fn heap_info() -> Option<HeapInfo> {
        let (heaps, count) = heaps();
        let heap_used = heaps[..count]
            .iter()
            .map(|&heap| in_use(heap))
            .sum::<Option<u64>>()?;
        (count > 0).then_some(HeapInfo {
            heap_used,
            mmap_used: None,
            heap_count: Some(count as u64),
        })
    }

    pub(crate) fn heap_trim() -> bool {
        // SAFETY: the process's own heap, with its own serialisation.
        unsafe { HeapCompact(GetProcessHeap(), 0) != 0 }
    }

    pub(crate) fn memory() -> Memory {
        let mut counters = PROCESS_MEMORY_COUNTERS_EX::default();
        let size = size_of::<PROCESS_MEMORY_COUNTERS_EX>() as u32;
        // SAFETY: the buffer is writable and of the size that is passed; the system knows the longer form by it.
        let told = unsafe {
            K32GetProcessMemoryInfo(GetCurrentProcess(), (&raw mut counters).cast(), size)
        } != 0;
        Memory {
            uss: None,
            rss: told.then_some(counters.WorkingSetSize as u64),
            vms: told.then_some(counters.PrivateUsage as u64),
        }
    }

    pub(crate) fn handles() -> Option<u64> {
        let mut count = 0;
        // SAFETY: the pseudo handle of this process, and a writable integer.
        let told = unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) } != 0;
        told.then(|| u64::from(count))
    }
}

#[cfg(not(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "macos",
    windows
)))]
mod platform {
    use super::HeapInfo;

    pub(crate) const WHY_UNSUPPORTED: &str = "the allocator of this platform has no statistics; install \
        `heapdelta::CountingAllocator`, and `heapdelta::counted()` tells what Rust has in use";

    pub(crate) fn heap_info() -> Option<HeapInfo> {
        None
    }

    pub(crate) fn heap_trim() -> bool {
        false
    }
}

/// No thread's cache is known to count as in use.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn fill_thread_cache() {}

pub(crate) use platform::*;
