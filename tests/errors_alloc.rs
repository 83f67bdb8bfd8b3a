//! The classification allocates nothing. Alone in its program, as it counts the program's allocations.

use hangup::CloseReason;
use hangup::errors::{
    Call, Classifier, ErrorClass, OsError, Platform, classify, classify_call, classify_error,
    classify_os,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::fmt;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The fewest allocations of `body` in some runs: the test harness has a thread of its own that may
/// allocate meanwhile.
fn allocations<T>(body: impl Fn() -> T) -> usize {
    let count = || {
        let region = Region::new(ALLOCATOR);
        black_box(body());
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..20).fold(usize::MAX, |least, _| least.min(count()))
}

/// An error of the name and with the content of rustls'.
#[derive(Debug)]
#[allow(dead_code, reason = "read by Debug")]
struct AlertReceived(String);

impl fmt::Display for AlertReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("received fatal alert")
    }
}

impl std::error::Error for AlertReceived {}

#[test]
fn nothing_is_allocated() {
    // The count counts.
    assert_eq!(allocations(|| Box::new(1)), 1);

    let reset = || io::Error::from_raw_os_error(104);
    let lookup = "failed to lookup address information: Name or service not known";
    let alert = || AlertReceived("unknown certificate authority".to_owned());
    for error in [
        reset(),
        ErrorKind::BrokenPipe.into(),
        io::Error::other("no idea"),
        io::Error::other(lookup),
        io::Error::other(reset()),
        io::Error::other(io::Error::other(Arc::new(reset()))),
        io::Error::new(ErrorKind::InvalidData, "not UTF-8"),
        io::Error::new(ErrorKind::InvalidData, alert()),
        io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof"),
        io::Error::other(alert()),
        CloseReason::Truncated.into(),
    ] {
        assert_eq!(allocations(|| classify(&error)), 0, "{error:?}");
        assert_eq!(allocations(|| classify_error(&error)), 0, "{error:?}");
        let classifier = Classifier::new()
            .rule(|_: &fmt::Error| ErrorClass::Tls)
            .rule(|_: &io::Error| None);
        assert_eq!(allocations(|| classifier.classify(&error)), 0, "{error:?}");
        let connect = || classify_call(&error, Call::Connect);
        assert_eq!(allocations(connect), 0, "{error:?}");
        let classifier = Classifier::well_known();
        assert_eq!(allocations(|| classifier.classify(&error)), 0, "{error:?}");
    }
    assert_eq!(allocations(|| classify_os(104, Platform::Linux)), 0);
    assert_eq!(
        allocations(|| OsError::from_name("EPIPE", Platform::Windows)),
        0
    );
    // Of the reasons only a failure's has a message to keep.
    assert_eq!(allocations(|| CloseReason::from(&reset())), 0);
}
