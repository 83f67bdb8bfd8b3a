//! Unix: what `getaddrinfo` returns, by the numbers of each system's `netdb.h`, and second names of
//! errors.
//!
//! `EAI_SYSTEM` says that `errno` has the error; std gives that one. For all others std makes an error
//! without a code.

use crate::errors::class::ErrorClass::*;
use crate::errors::os_error::{OsError, row};

/// glibc, musl and OpenBSD. Those that only glibc has are below -12.
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

/// Second names; a platform where they have a number of their own has them in its table.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("EDEADLOCK", "EDEADLK"),
    ("ENOTSUP", "EOPNOTSUPP"),
    ("EWOULDBLOCK", "EAGAIN"),
];
