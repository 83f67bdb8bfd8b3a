//! The columns of the table.

use std::fmt;

/// Something that a [`LeakTest`](crate::LeakTest) compares before and after: a column of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// All that the allocator has in use, in bytes: [`heap_used`](crate::HeapInfo::heap_used) and
    /// [`mmap_used`](crate::HeapInfo::mmap_used) together, as a buffer that grows moves from one to the other.
    Heap,
    /// The part of it in [`mmap_used`](crate::HeapInfo::mmap_used).
    Mmap,
    /// [`HeapInfo::heap_count`](crate::HeapInfo::heap_count).
    Heaps,
    /// [`Counted::bytes`](crate::Counted::bytes): there with a [`CountingAllocator`](crate::CountingAllocator).
    Rust,
    /// What another allocator tells: there with [`LeakTest::allocated`](crate::LeakTest::allocated).
    Allocated,
    /// Memory that no other process shares, in bytes. On macOS the footprint; on Linux the pages that no file backs
    /// (`Anonymous` of `smaps_rollup`, see proc_pid_smaps(5)): pages of the program become private when another process
    /// that runs it ends.
    Uss,
    /// Resident memory, in bytes.
    Rss,
    /// Mapped memory, in bytes. On Windows the private commit.
    Vms,
    /// Open descriptors; on Windows handles.
    Descriptors,
    /// Threads.
    Threads,
    /// Child processes. One that has ended and was not waited for counts.
    Children,
    /// Tasks of the runtime of [`LeakTest::run_async`](crate::LeakTest::run_async).
    Tasks,
    /// A counter of [`LeakTest::watch`](crate::LeakTest::watch), with its name.
    Watched(&'static str),
}

impl Metric {
    /// How much a run may grow unless the test says otherwise. Pages come and go in the granularity of the system: a
    /// page of code that is run for the first time is enough.
    pub(crate) fn default_tolerance(self) -> u64 {
        match self {
            Self::Uss | Self::Rss | Self::Vms => 16 << 10,
            _ => 0,
        }
    }

    /// `true` for what a call must give back at once; memory may be kept by a cache.
    pub(crate) fn is_resource(self) -> bool {
        matches!(
            self,
            Self::Descriptors
                | Self::Threads
                | Self::Children
                | Self::Tasks
                | Self::Heaps
                | Self::Watched(_)
        )
    }

    /// The unit of an amount.
    pub(crate) fn unit(self) -> &'static str {
        if self.is_resource() { "" } else { " bytes" }
    }
}

/// The column's head: `heap`, `descriptors`, or the name that was given to `watch`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Heap => "heap",
            Self::Mmap => "mmap",
            Self::Heaps => "heaps",
            Self::Rust => "rust",
            Self::Allocated => "allocated",
            Self::Uss => "USS",
            Self::Rss => "RSS",
            Self::Vms => "VMS",
            Self::Descriptors => "descriptors",
            Self::Threads => "threads",
            Self::Children => "children",
            Self::Tasks => "tasks",
            Self::Watched(name) => name,
        })
    }
}
