//! A 64-bit atomic number, also for processors that have none, such as 32-bit PowerPC and MIPS.

#[cfg(not(target_has_atomic = "64"))]
pub(crate) use portable_atomic::AtomicU64;
#[cfg(target_has_atomic = "64")]
pub(crate) use std::sync::atomic::AtomicU64;
