//! Leak tests: run an operation many times, and fail if memory, descriptors, threads or tasks keep growing.
//!
//! The entry point of this crate is [`LeakTest`].
//!
//! ```
//! use heapdelta::LeakTest;
//!
//! // The body of a `#[test]`.
//! let report = LeakTest::new().run(|| "1,2,3".split(',').map(str::len).sum::<usize>())?;
//! println!("{report}");
//! # Ok::<(), heapdelta::LeakError>(())
//! ```
//!
//! A leak fails the test with what grew, and the table of the runs. Here 16 bytes of Rust's stay in each call; glibc
//! takes 32 for them:
//!
//! ```text
//! leak: heap grows by 32.0 bytes a call
//! leak: rust grows by 16.0 bytes a call
//!  run    calls         heap         mmap         rust          USS          RSS          VMS  average a call
//!    1      100        +3200           +0        +1600        +4096        +4096           +0  heap +32.0, rust +16.0
//!    2      200        +6400           +0        +3200        +8192        +8192           +0  heap +32.0, rust +16.0
//!    3      400       +12800           +0        +6400       +12288       +12288           +0  heap +32.0, rust +16.0
//! ```
//!
//! * [`LeakTest`] measures blocking operations, and async ones on a runtime of its own (feature `tokio`, on by default).
//! * [`heap_info`] and [`heap_trim`] ask the allocator, which knows C's blocks as well as Rust's.
//! * [`CountingAllocator`] counts Rust's bytes alone, so that the two can be told apart.
//!
//! # Platforms
//! | platform | heap | USS, RSS, VMS | descriptors | threads | children | checked |
//! |---|---|---|---|---|---|---|
//! | Linux, glibc 2.33 or later | yes | yes | with targets | with names | with names | tests are run |
//! | Linux, musl | with `CountingAllocator` | yes | with targets | with names | with names | tests are run |
//! | macOS | yes | yes | with numbers | how many | no | type-checked only |
//! | Windows | yes | RSS; the commit as VMS | handles, how many | no | no | type-checked only |
//! | others | with `CountingAllocator` | no | no | no | no | not checked |
//!
//! Where a column cannot be read it is not in the table. Where no memory can be read at all,
//! the test fails with [`LeakErrorKind::Unsupported`].

mod error;
mod heap;
mod judge;
mod leak_test;
mod measure;
mod memory;
mod metric;
mod report;
mod resources;
#[cfg(feature = "tokio")]
mod run_async;
#[allow(
    unsafe_code,
    reason = "C's functions and the allocator: the one file with `unsafe`"
)]
mod sys;

pub use error::{Finding, LeakError, LeakErrorKind};
pub use heap::{Counted, HeapInfo, counted, heap_info, heap_trim};
pub use leak_test::LeakTest;
pub use metric::Metric;
pub use report::{Outcome, Report, Run};
pub use sys::CountingAllocator;
