//! An error judged with the call that failed.

use hangup::errors::{
    Call, Classifier, ErrorClass, OsError, Platform, classify, classify_call, classify_error,
};
use std::fmt;
use std::io::{self, ErrorKind};

use ErrorClass::*;

const CALLS: [Call; 6] = [
    Call::Connect,
    Call::Bind,
    Call::Accept,
    Call::Read,
    Call::Write,
    Call::LookUp,
];

/// The error of this platform called `name`, if it has one.
fn os(name: &str) -> Option<io::Error> {
    let error = OsError::from_name(name, Platform::current()?)?;
    Some(io::Error::from_raw_os_error(error.code()))
}

#[test]
fn the_call_decides_what_a_code_means() {
    for (name, call, class) in [
        ("EADDRINUSE", Call::Connect, LocalResources),
        ("EADDRNOTAVAIL", Call::Connect, LocalResources),
        ("EBUSY", Call::Connect, LocalResources),
        ("ENODEV", Call::Connect, Network),
        ("ENXIO", Call::Connect, Network),
        ("EAFNOSUPPORT", Call::Connect, Network),
        ("EPERM", Call::Connect, Network),
        ("EACCES", Call::Connect, Network),
        ("ENOENT", Call::Connect, Disconnected),
        ("ECONNREFUSED", Call::Connect, Disconnected),
        ("EINPROGRESS", Call::Connect, NotReady),
        ("EMFILE", Call::Connect, LocalResources),
        ("EINVAL", Call::Connect, Misuse),
        ("EADDRINUSE", Call::Bind, Misuse),
        ("EADDRNOTAVAIL", Call::Bind, Misuse),
        ("EBUSY", Call::Bind, Misuse),
        ("ENODEV", Call::Bind, Misuse),
        ("EACCES", Call::Bind, Permission),
        ("EPERM", Call::Bind, Permission),
        ("ECONNABORTED", Call::Accept, Interrupted),
        ("EPROTO", Call::Accept, Interrupted),
        ("ENETDOWN", Call::Accept, Interrupted),
        ("ETIMEDOUT", Call::Accept, Interrupted),
        ("EPERM", Call::Accept, Interrupted),
        ("EMFILE", Call::Accept, LocalResources),
        ("EINVAL", Call::Accept, Misuse),
        ("EAGAIN", Call::Accept, NotReady),
        ("ENODEV", Call::Read, Network),
        ("ENODEV", Call::Write, Network),
        ("EPERM", Call::Write, Permission),
        ("ECONNRESET", Call::Read, Disconnected),
        ("ECONNREFUSED", Call::LookUp, Resolution),
        ("ETIMEDOUT", Call::LookUp, Resolution),
        ("EMFILE", Call::LookUp, LocalResources),
        ("EINTR", Call::LookUp, Interrupted),
    ] {
        // Windows has no EPERM: what stands for it is of the file system.
        let Some(error) = os(name).filter(|_| !(cfg!(windows) && name == "EPERM")) else {
            continue;
        };
        assert_eq!(classify_call(&error, call), class, "{name} from {call:?}");
        let nested = io::Error::other(io::Error::other(os(name).unwrap()));
        assert_eq!(classify_call(&nested, call), class, "{name} from {call:?}");
    }
}

/// A library's error has a kind only.
#[test]
fn a_kind_is_judged_as_its_code() {
    for (kind, call, class) in [
        (ErrorKind::AddrNotAvailable, Call::Connect, LocalResources),
        (ErrorKind::AddrNotAvailable, Call::Bind, Misuse),
        (ErrorKind::AddrInUse, Call::Connect, LocalResources),
        (ErrorKind::PermissionDenied, Call::Connect, Network),
        (ErrorKind::PermissionDenied, Call::Bind, Permission),
        (ErrorKind::ResourceBusy, Call::Connect, LocalResources),
        (ErrorKind::NotFound, Call::Connect, Disconnected),
        (ErrorKind::NotFound, Call::Read, Misuse),
        (ErrorKind::ConnectionAborted, Call::Accept, Interrupted),
        (ErrorKind::Other, Call::LookUp, Resolution),
        (ErrorKind::Other, Call::Connect, Other),
    ] {
        assert_eq!(classify_call(&kind.into(), call), class, "{kind} {call:?}");
        let named = io::Error::new(kind, "said so");
        assert_eq!(classify_call(&named, call), class, "{kind} {call:?}");
    }
}

/// For reads and writes only a device that is gone differs from the plain classification, and no call
/// makes an error one that passes by itself, except an accept.
#[test]
fn reads_and_writes_mean_what_they_meant() {
    for code in -200..13_000 {
        let error = io::Error::from_raw_os_error(code);
        let name = Platform::current().and_then(|platform| OsError::from_code(code, platform));
        for call in [Call::Read, Call::Write] {
            let gone = matches!(name.map(|error| error.name()), Some("ENODEV" | "ENXIO"));
            let class = if gone { Network } else { classify(&error) };
            assert_eq!(
                classify_call(&error, call),
                class,
                "{error:?} from {call:?}"
            );
        }
        for call in CALLS {
            assert!(
                call == Call::Accept
                    || !classify_call(&error, call).is_transient()
                    || classify(&error).is_transient(),
                "{error:?} from {call:?}"
            );
        }
    }
}

#[test]
fn the_rules_of_a_classifier_come_first() {
    let classifier = Classifier::new().rule(|error: &io::Error| {
        (error.kind() == ErrorKind::PermissionDenied).then_some(Permission)
    });
    let denied = ErrorKind::PermissionDenied.into();
    assert_eq!(classifier.classify_call(&denied, Call::Connect), Permission);
    assert_eq!(
        Classifier::new().classify_call(&denied, Call::Connect),
        Network
    );
    let other = io::Error::other(fmt::Error);
    assert_eq!(classifier.classify_call(&other, Call::Connect), Other);
    assert_eq!(classifier.classify_call(&other, Call::LookUp), Resolution);
    assert_eq!(classify_error(&other), Other);
}
