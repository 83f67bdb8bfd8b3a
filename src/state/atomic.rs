//! An atomic number of 64 bits, also where the processor has none: 32-bit PowerPC and MIPS.

#[cfg(not(target_has_atomic = "64"))]
pub(crate) use portable_atomic::AtomicU64;
#[cfg(target_has_atomic = "64")]
pub(crate) use std::sync::atomic::AtomicU64;
