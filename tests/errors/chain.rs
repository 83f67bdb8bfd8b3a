//! Errors inside errors, rules for third parties' errors, and the way to a close reason and back.

use hangup::CloseReason;
use hangup::errors::{
    Classifier, ErrorClass, classify, classify_error, is_connection_error, is_not_ready,
};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// A library's error, around another one or not.
#[derive(Debug)]
struct Library(Option<Box<dyn Error + Send + Sync>>);

impl Library {
    fn around(inner: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Some(inner.into()))
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("library error")
    }
}

impl Error for Library {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|inner| &**inner as _)
    }
}

/// Everything that may stand around `inner`.
fn wrapped(inner: impl Fn() -> io::Error) -> Vec<Box<dyn Error + Send + Sync>> {
    vec![
        Box::new(inner()),
        Box::new(io::Error::other(inner())),
        Box::new(io::Error::new(ErrorKind::InvalidData, inner())),
        Box::new(Library::around(inner())),
        Box::new(io::Error::other(Library::around(inner()))),
        Box::new(Library::around(Library::around(io::Error::other(inner())))),
        Box::new(Library::around(io::Error::other(Library::around(inner())))),
        Box::new(Arc::new(inner())),
        Box::new(Box::new(inner())),
        Box::new(Library::around(Arc::new(inner()))),
        Box::new(Arc::<dyn Error + Send + Sync>::from(Box::from(inner()))),
        Box::new(Library::around(Box::new(inner()))),
    ]
}

#[test]
fn an_io_error_is_found_in_any_wrapper() {
    for (kind, class) in [
        (ErrorKind::WouldBlock, ErrorClass::NotReady),
        (ErrorKind::Interrupted, ErrorClass::Interrupted),
        (ErrorKind::ConnectionReset, ErrorClass::Disconnected),
        (ErrorKind::HostUnreachable, ErrorClass::Network),
        (ErrorKind::TimedOut, ErrorClass::Timeout),
        (ErrorKind::OutOfMemory, ErrorClass::LocalResources),
        (ErrorKind::AddrInUse, ErrorClass::Misuse),
        (ErrorKind::PermissionDenied, ErrorClass::Permission),
        (ErrorKind::Other, ErrorClass::Other),
    ] {
        for error in wrapped(|| kind.into()) {
            assert_eq!(classify_error(&*error), class, "{error:?}");
        }
        for error in wrapped(|| io::Error::new(kind, "said so")) {
            assert_eq!(classify_error(&*error), class, "{error:?}");
        }
    }
}

#[test]
fn the_outermost_error_that_says_something_decides() {
    let refused = Library::around(io::Error::from(ErrorKind::ConnectionRefused));
    let denied = io::Error::new(ErrorKind::PermissionDenied, refused);
    assert_eq!(classify(&denied), ErrorClass::Permission);
}

#[test]
fn both_questions_look_inside() {
    let reset = io::Error::other(io::Error::from(ErrorKind::ConnectionReset));
    assert!(is_connection_error(&reset) && !is_not_ready(&reset));
    let not_ready = io::Error::other(io::Error::from(ErrorKind::WouldBlock));
    assert!(is_not_ready(&not_ready) && !is_connection_error(&not_ready));
    let interrupted = io::Error::from(ErrorKind::Interrupted);
    assert!(!is_not_ready(&interrupted) && !is_connection_error(&interrupted));
}

#[test]
fn an_error_without_anything_inside_is_other() {
    let overflow = u8::try_from(300_u32).unwrap_err();
    assert_eq!(classify_error(&overflow), ErrorClass::Other);
    assert_eq!(classify(&io::Error::other(overflow)), ErrorClass::Other);
    assert_eq!(classify_error(&Library(None)), ErrorClass::Other);
    assert_eq!(classify_error(&fmt::Error), ErrorClass::Other);
}

/// A parser's error is InvalidData too: resending what the peer cannot parse would never end.
#[test]
fn invalid_data_is_not_tls() {
    for error in [
        io::Error::from(ErrorKind::InvalidData),
        io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"),
        io::Error::new(ErrorKind::InvalidData, "1".parse::<bool>().unwrap_err()),
        io::Error::new(ErrorKind::InvalidData, Library(None)),
    ] {
        assert_eq!(classify(&error), ErrorClass::Other, "{error:?}");
    }
}

#[test]
fn an_early_end_is_a_disconnect() {
    for error in [
        io::Error::from(ErrorKind::UnexpectedEof),
        io::Error::new(ErrorKind::UnexpectedEof, "early eof"),
    ] {
        assert_eq!(classify(&error), ErrorClass::Disconnected);
        assert_eq!(CloseReason::from(&error), CloseReason::Truncated);
    }
}

#[tokio::test(start_paused = true)]
async fn an_elapsed_timer_is_a_timeout() {
    let elapsed = || async {
        tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>())
            .await
            .unwrap_err()
    };
    assert_eq!(classify_error(&elapsed().await), ErrorClass::Timeout);
    assert_eq!(
        classify(&io::Error::other(elapsed().await)),
        ErrorClass::Timeout
    );
    assert_eq!(classify(&elapsed().await.into()), ErrorClass::Timeout);
    assert_eq!(
        classify_error(&Library::around(elapsed().await)),
        ErrorClass::Timeout
    );
}

/// An error that is its own source.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("endless")
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[test]
fn an_endless_chain_ends() {
    assert_eq!(classify_error(&Endless), ErrorClass::Other);
    let none = Classifier::new().rule(|_: &Endless| None);
    assert_eq!(none.classify_error(&Endless), ErrorClass::Other);
    assert_eq!(CloseReason::carried_by(&io::Error::other(Endless)), None);
}

#[test]
fn rules_come_in_order_and_before_the_built_in_ones() {
    let classifier = Classifier::new()
        .rule(|error: &Library| error.0.is_none().then_some(ErrorClass::Tls))
        .rule(|_: &Library| ErrorClass::Misuse)
        .rule(|error: &io::Error| {
            (error.kind() == ErrorKind::TimedOut).then_some(ErrorClass::Network)
        });

    assert_eq!(classifier.classify_error(&Library(None)), ErrorClass::Tls);
    // The rule for the inner error comes before the built-in one for the outer error.
    let reset = io::Error::new(ErrorKind::ConnectionReset, Library(None));
    assert_eq!(classifier.classify(&reset), ErrorClass::Tls);
    let around = Library::around(io::Error::from(ErrorKind::TimedOut));
    assert_eq!(classifier.classify_error(&around), ErrorClass::Misuse);
    for error in wrapped(|| ErrorKind::TimedOut.into()) {
        let is_library = format!("{error:?}").contains("Library");
        let class = [ErrorClass::Network, ErrorClass::Misuse][usize::from(is_library)];
        assert_eq!(classifier.classify_error(&*error), class, "{error:?}");
    }
    // What no rule knows is left to the built-in ones.
    assert_eq!(
        classifier.classify(&ErrorKind::BrokenPipe.into()),
        ErrorClass::Disconnected
    );
    assert_eq!(
        format!("{classifier:?}"),
        "Classifier { rules: 3, well_known: false }"
    );
}

#[test]
fn a_classifier_can_be_shared() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    shared(&Classifier::new());
    let one = Classifier::new();
    let two = one.clone().rule(|_: &Library| ErrorClass::Tls);
    assert_eq!(one.classify_error(&Library(None)), ErrorClass::Other);
    assert_eq!(two.classify_error(&Library(None)), ErrorClass::Tls);
}

/// The reason that each error ends a stream with.
#[test]
fn errors_become_reasons() {
    for (kind, reason) in [
        (ErrorKind::BrokenPipe, CloseReason::PeerClosed),
        (ErrorKind::ConnectionReset, CloseReason::Reset),
        (ErrorKind::ConnectionAborted, CloseReason::Reset),
        (ErrorKind::TimedOut, CloseReason::TimedOut),
        (ErrorKind::HostUnreachable, CloseReason::Unreachable),
        (ErrorKind::NetworkUnreachable, CloseReason::Unreachable),
        (ErrorKind::NetworkDown, CloseReason::Unreachable),
        (ErrorKind::UnexpectedEof, CloseReason::Truncated),
    ] {
        for error in wrapped(|| kind.into()) {
            let error = io::Error::other(error);
            assert_eq!(CloseReason::from(&error), reason, "{error:?}");
        }
    }
    let Some(platform) = hangup::errors::Platform::current() else {
        println!("skipped: no table for this platform");
        return;
    };
    // std has no kind for these.
    for name in ["EHOSTDOWN", "ENETRESET"] {
        let error = hangup::errors::OsError::from_name(name, platform).unwrap();
        let error = io::Error::from_raw_os_error(error.code());
        assert_eq!(
            CloseReason::from(&error),
            CloseReason::Unreachable,
            "{name}"
        );
    }
}

#[test]
fn a_failure_keeps_the_class() {
    for kind in [
        ErrorKind::AddrInUse,
        ErrorKind::ConnectionRefused,
        ErrorKind::InvalidData,
        ErrorKind::NotConnected,
        ErrorKind::OutOfMemory,
        ErrorKind::PermissionDenied,
    ] {
        let error = io::Error::from(kind);
        let reason = CloseReason::from(&error);
        let CloseReason::Failed(failure) = &reason else {
            panic!("{reason:?}")
        };
        assert_eq!(failure.kind(), kind);
        assert_eq!(failure.class(), classify(&error));
        assert_eq!(reason.class(), classify(&error));
    }
}

/// Through a reason and back into an error, the class stays: for every code that there is.
#[test]
fn a_reason_gives_the_class_back() {
    let nested = |code| io::Error::other(Library::around(io::Error::from_raw_os_error(code)));
    for code in -200..13_000 {
        for error in [io::Error::from_raw_os_error(code), nested(code)] {
            let class = classify(&error);
            let reason = CloseReason::from(&error);
            assert_eq!(reason.class(), class, "{error:?}");
            let carried = io::Error::from(reason.clone());
            assert_eq!(classify(&carried), class, "{carried:?}");
            assert_eq!(classify(&io::Error::other(carried)), class);
            assert_eq!(classify_error(&Library::around(reason)), class);
        }
    }
    let no_address = io::Error::new(ErrorKind::InvalidInput, "could not resolve to any address");
    let reason = CloseReason::from(&no_address);
    assert_eq!(reason.class(), ErrorClass::Resolution);
    assert_eq!(classify(&reason.into()), ErrorClass::Resolution);
}

#[test]
fn every_reason_has_a_class() {
    for (reason, class) in [
        (CloseReason::PeerClosed, ErrorClass::Disconnected),
        (CloseReason::Finished, ErrorClass::Disconnected),
        (CloseReason::Reset, ErrorClass::Disconnected),
        (CloseReason::TimedOut, ErrorClass::Timeout),
        (CloseReason::Unreachable, ErrorClass::Network),
        (CloseReason::Stalled, ErrorClass::Timeout),
        (CloseReason::Truncated, ErrorClass::Tls),
        (CloseReason::Tls, ErrorClass::Tls),
        (CloseReason::Dropped, ErrorClass::Disconnected),
        (CloseReason::RuntimeShutdown, ErrorClass::Disconnected),
    ] {
        assert_eq!(reason.class(), class, "{reason}");
        assert_eq!(classify(&reason.into()), class);
    }
}
