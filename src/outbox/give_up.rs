//! Why an outbox gave up.

use crate::errors::ErrorClass;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why an outbox gave up: what can be cloned and compared of the last [`io::Error`].
///
/// [`Builder::give_up_on`](super::Builder::give_up_on),
/// [`Builder::give_up_after`](super::Builder::give_up_after) and a [back-off](super::Builder::backoff) that
/// ends decide when that happens.
///
/// ```
/// use hangup::errors::ErrorClass;
/// use hangup::outbox::{Outbox, UndeliveredReason};
/// use std::io::{self, ErrorKind};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connect = || async {
///     Err::<TcpStream, _>(io::Error::new(ErrorKind::InvalidInput, "the address is malformed"))
/// };
/// let outbox = Outbox::builder(connect, LinesCodec::new).spawn()?;
/// let undelivered = outbox.send("door opened").await?.await.unwrap_err();
/// let UndeliveredReason::GaveUp(why) = undelivered.reason() else {
///     panic!("{undelivered}");
/// };
/// assert_eq!(why.kind(), ErrorKind::InvalidInput);
/// assert_eq!(why.class(), ErrorClass::Misuse);
/// assert_eq!(why.to_string(), "the address is malformed");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveUpReason {
    class: ErrorClass,
    kind: io::ErrorKind,
    message: Arc<str>,
}

/// Whether an error of `connect` means a mistake in the program: the default of
/// [`Builder::give_up_on`](super::Builder::give_up_on).
///
/// tokio's error for a name, or a list, without an address has the kind `InvalidInput`. Its next look-up may find one.
pub(crate) fn is_mistake(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    ) && !is_resolution(error)
}

/// Whether a look-up found nothing.
pub(crate) fn is_resolution(error: &io::Error) -> bool {
    crate::errors::classify(error) == ErrorClass::Resolution
}

impl GiveUpReason {
    pub(crate) fn new(error: &io::Error) -> Self {
        Self {
            class: crate::errors::classify(error),
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }

    /// The class of the last error: see [`errors`](crate::errors).
    ///
    /// ```
    /// use hangup::errors::ErrorClass;
    /// use hangup::outbox::GiveUpReason;
    ///
    /// /// What a supervisor does with a program whose outbox gave up.
    /// fn action(why: &GiveUpReason) -> &'static str {
    ///     match why.class() {
    ///         ErrorClass::Misuse => "stop it: a restart would fail in the same way",
    ///         ErrorClass::LocalResources => "restart it: it has run out of descriptors or memory",
    ///         _ => "call Outbox::resume later",
    ///     }
    /// }
    /// # let _ = action;
    /// ```
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The kind of the last error.
    ///
    /// ```
    /// use hangup::outbox::GiveUpReason;
    /// use std::io::ErrorKind;
    ///
    /// /// Whether an operator can mend it without a new version of the program.
    /// fn is_set_up_wrongly(why: &GiveUpReason) -> bool {
    ///     matches!(why.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
    /// }
    /// # let _ = is_set_up_wrongly;
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
