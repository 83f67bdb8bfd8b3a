//! The tables against the system's own numbers and against std's reading of them.

use hangup::errors::{ErrorClass, OsError, Platform, classify, classify_os};
use proptest::prelude::*;
use std::io;

/// Compares the table of this platform with libc, in both directions.
#[cfg(target_os = "linux")]
macro_rules! compare {
    ($platform:expr, $($name:ident)*) => {{
        let names = [$(stringify!($name)),*];
        $(
            let error = OsError::from_code(libc::$name, $platform);
            assert_eq!(error.map(|error| error.name()), Some(stringify!($name)));
        )*
        for error in (-1_000..100_000).filter_map(|code| OsError::from_code(code, $platform)) {
            assert!(names.contains(&error.name()), "libc has no {error}");
        }
    }};
}

#[cfg(target_os = "linux")]
#[test]
fn linux_has_the_numbers_of_libc() {
    compare!(
        Platform::Linux,
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
        ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
        ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
        ELOOP ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR
        EXFULL ENOANO EBADRQC EBADSLT EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE
        ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD
        EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK
        EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP
        EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET
        ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT
        ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL
        EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED
        EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
    );
    assert_eq!(
        OsError::from_name("EWOULDBLOCK", Platform::Linux).map(|error| error.code()),
        Some(libc::EWOULDBLOCK)
    );
    assert_eq!(
        OsError::from_name("ENOTSUP", Platform::Linux).map(|error| error.code()),
        Some(libc::ENOTSUP)
    );
    assert_eq!(
        OsError::from_name("EDEADLOCK", Platform::Linux).map(|error| error.code()),
        Some(libc::EDEADLOCK)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn linux_has_the_look_up_numbers_of_libc() {
    for (code, name) in [
        (libc::EAI_AGAIN, "EAI_AGAIN"),
        (libc::EAI_BADFLAGS, "EAI_BADFLAGS"),
        (libc::EAI_FAIL, "EAI_FAIL"),
        (libc::EAI_FAMILY, "EAI_FAMILY"),
        (libc::EAI_MEMORY, "EAI_MEMORY"),
        (libc::EAI_NODATA, "EAI_NODATA"),
        (libc::EAI_NONAME, "EAI_NONAME"),
        (libc::EAI_OVERFLOW, "EAI_OVERFLOW"),
        (libc::EAI_SERVICE, "EAI_SERVICE"),
        (libc::EAI_SOCKTYPE, "EAI_SOCKTYPE"),
        (libc::EAI_SYSTEM, "EAI_SYSTEM"),
    ] {
        let error = OsError::from_lookup(code, Platform::Linux);
        assert_eq!(error.map(|error| error.name()), Some(name));
    }
}

/// Windows: a server's share or its printer queue that cannot be reached is no mistake of the program's, and std
/// calls it `NotFound`. A call that this program cancelled is no time-out of the network, as std calls it.
const STD_DIFFERS: [&str; 2] = ["ERROR_BAD_NETPATH", "ERROR_OPERATION_ABORTED"];

/// An error with a code and one that a library made with the same kind mean the same, so far as a kind
/// means anything.
#[test]
fn codes_and_their_kinds_mean_the_same() {
    let Some(platform) = Platform::current() else {
        println!("skipped: no table for this platform");
        return;
    };
    let (mut compared, mut differ) = (0, Vec::new());
    for code in -1_000..100_000 {
        let Some(error) = OsError::from_code(code, platform) else {
            continue;
        };
        let with_code = io::Error::from_raw_os_error(code);
        assert_eq!(classify(&with_code), error.class(), "{error}");
        let of_kind = classify(&with_code.kind().into());
        if of_kind != ErrorClass::Other {
            compared += 1;
            if of_kind != error.class() && !STD_DIFFERS.contains(&error.name()) {
                differ.push(format!("{error} is of kind {}", with_code.kind()));
            }
        }
    }
    assert_eq!(differ, [""; 0]);
    // 22 on Linux; a table that is not searched would compare nothing.
    assert!(compared >= 15, "only {compared} codes have a kind");
}

/// Where the table ends, std's kind decides; where there is none, nothing does.
#[test]
fn unknown_codes_are_other() {
    for code in [i32::MIN, -1, 0, 58, 9_999, 12_345, i32::MAX] {
        assert_eq!(
            classify(&io::Error::from_raw_os_error(code)),
            ErrorClass::Other,
            "{code}"
        );
    }
}

fn platforms() -> impl Strategy<Value = Platform> {
    prop::sample::select(vec![
        Platform::Linux,
        Platform::MacOs,
        Platform::FreeBsd,
        Platform::DragonFly,
        Platform::NetBsd,
        Platform::OpenBsd,
        Platform::Windows,
    ])
}

fn codes() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), -200..200, 0..13_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn no_code_panics(code in codes(), platform in platforms()) {
        let class = classify_os(code, platform);
        let known = OsError::from_code(code, platform);
        prop_assert_eq!(class, known.map_or(ErrorClass::Other, |error| error.class()));
        prop_assert!(!(class.is_connection() && class.is_transient()));
        prop_assert!(!class.advice().is_empty());
        if let Some(error) = OsError::from_lookup(code, platform) {
            prop_assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn no_error_panics(code in codes(), text in ".{0,80}") {
        let plain = classify(&io::Error::from_raw_os_error(code));
        let nested = io::Error::other(io::Error::from_raw_os_error(code));
        prop_assert_eq!(classify(&nested), plain);
        classify(&io::Error::new(io::ErrorKind::InvalidData, text.as_str()));
        prop_assert_eq!(classify(&io::Error::other(format!("x{text}"))), ErrorClass::Other);
    }

    #[test]
    fn no_name_panics(name in "[A-Z_]{0,20}|.{0,20}", platform in platforms()) {
        if let Some(error) = OsError::from_name(&name, platform) {
            let again = OsError::from_name(error.name(), platform);
            prop_assert_eq!(again, Some(error));
        }
    }
}
