//! Unix: the return values of `getaddrinfo`, by the numbers of each system's `netdb.h`, and aliases of errors.
//!
//! `EAI_SYSTEM` means that `errno` has the error, and std returns that one. For all others std creates an error without
//! a code.

use crate::errors::class::ErrorClass::*;
use crate::errors::os_error::{OsError, row};

/// glibc, musl and OpenBSD. The codes below -12 exist in glibc only.
pub(super) const NEGATIVE: &[OsError] = &[
    row(-105, "EAI_IDN_ENCODE", Resolution),
    row(-104, "EAI_INTR", Interrupted),
    row(-103, "EAI_ALLDONE", Other),
    row(-102, "EAI_NOTCANCELED", Other),
    row(-101, "EAI_CANCELED", Other),
    row(-100, "EAI_INPROGRESS", NotReady),
    row(-12, "EAI_OVERFLOW", Other),
    row(-11, "EAI_SYSTEM", Other),
    row(-10, "EAI_MEMORY", LocalResources),
    row(-9, "EAI_ADDRFAMILY", Resolution),
    row(-8, "EAI_SERVICE", Misuse),
    row(-7, "EAI_SOCKTYPE", Misuse),
    row(-6, "EAI_FAMILY", Misuse),
    row(-5, "EAI_NODATA", Resolution),
    row(-4, "EAI_FAIL", Resolution),
    row(-3, "EAI_AGAIN", Resolution),
    row(-2, "EAI_NONAME", Resolution),
    row(-1, "EAI_BADFLAGS", Misuse),
];

/// macOS, FreeBSD, DragonFly BSD, NetBSD and Android.
pub(super) const POSITIVE: &[OsError] = &[
    row(1, "EAI_ADDRFAMILY", Resolution),
    row(2, "EAI_AGAIN", Resolution),
    row(3, "EAI_BADFLAGS", Misuse),
    row(4, "EAI_FAIL", Resolution),
    row(5, "EAI_FAMILY", Misuse),
    row(6, "EAI_MEMORY", LocalResources),
    row(7, "EAI_NODATA", Resolution),
    row(8, "EAI_NONAME", Resolution),
    row(9, "EAI_SERVICE", Misuse),
    row(10, "EAI_SOCKTYPE", Misuse),
    row(11, "EAI_SYSTEM", Other),
    row(12, "EAI_BADHINTS", Misuse),
    row(13, "EAI_PROTOCOL", Misuse),
    row(14, "EAI_OVERFLOW", Other),
];

/// Aliases. If a platform gives one of them a separate number, that platform's table has it too.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("EDEADLOCK", "EDEADLK"),
    ("ENOTSUP", "EOPNOTSUPP"),
    ("EWOULDBLOCK", "EAGAIN"),
];
