//! The rules of `Classifier::well_known`, each by its beginning. `tests/third_party` has the errors of the libraries themselves.

use hangup::errors::{Classifier, ErrorClass};
use std::error::Error;
use std::fmt;

/// An error that prints these texts, and has nothing inside.
struct Printed {
    debug: &'static str,
    display: &'static str,
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debug)
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.display)
    }
}

impl Error for Printed {}

fn class(debug: &'static str, display: &'static str) -> ErrorClass {
    Classifier::well_known().classify_error(&Printed { debug, display })
}

#[test]
fn a_variant_is_known_by_its_whole_name() {
    assert_eq!(class("TimedOut", ""), ErrorClass::Timeout);
    assert_eq!(class("Elapsed(())", ""), ErrorClass::Timeout);
    assert_eq!(class("ConnectionClosed", ""), ErrorClass::Disconnected);
    assert_eq!(
        class("ApplicationClosed(ApplicationClose { error_code: 0 })", ""),
        ErrorClass::Disconnected
    );
    for other in ["TimedOutLater", "Timed", "timedout", ""] {
        assert_eq!(class(other, ""), ErrorClass::Other, "{other:?}");
    }
}

#[test]
fn a_text_is_known_by_its_beginning() {
    assert_eq!(
        class("hyper::Error(HeaderTimeout)", ""),
        ErrorClass::Timeout
    );
    assert_eq!(
        class("Error { kind: Reason(REFUSED_STREAM) }", ""),
        ErrorClass::Disconnected
    );
    assert_eq!(
        class("Error { kind: Reason(PROTOCOL_ERROR) }", ""),
        ErrorClass::Other
    );
    assert_eq!(
        class("Status { code: Unauthenticated, message: \"\" }", ""),
        ErrorClass::Permission
    );
    assert_eq!(class("Quinn", "closed stream"), ErrorClass::Disconnected);
    assert_eq!(
        class("Db", "FATAL: password authentication failed for user \"a\""),
        ErrorClass::Permission
    );
    assert_eq!(class("Db", "a closed stream"), ErrorClass::Other);
}

/// A name in `Debug` decides before what `Display` says.
#[test]
fn the_name_decides_before_the_text() {
    assert_eq!(class("TimedOut", "reset by peer"), ErrorClass::Timeout);
}

#[test]
fn without_these_rules_nothing_is_known() {
    let error = Printed {
        debug: "TimedOut",
        display: "reset by peer",
    };
    assert_eq!(Classifier::new().classify_error(&error), ErrorClass::Other);
}
