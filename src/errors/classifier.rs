//! The classification with rules for third parties' errors.

use super::call::Call;
use super::chain::Chain;
use super::class::ErrorClass;
use super::classify;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

type Rule = Arc<dyn Fn(&(dyn Error + 'static)) -> Option<ErrorClass> + Send + Sync>;

/// The classification with rules for third parties' errors, which come before the built-in ones.
///
/// A rule is for one type of error. Every error of the chain is asked about, from the outside in, and
/// for each the rules in the order in which they were added; the first answer counts. Only if no rule
/// has one for any error of the chain, the built-in rules are asked.
///
/// A clone shares the rules.
///
/// ```
/// use hangup::errors::{Classifier, ErrorClass};
/// use std::{fmt, io};
///
/// #[derive(Debug)]
/// enum BusError {
///     Down,
///     Arbitration,
/// }
/// # impl fmt::Display for BusError {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("bus") }
/// # }
/// # impl std::error::Error for BusError {}
///
/// let classifier = Classifier::new().rule(|error: &BusError| match error {
///     BusError::Down => Some(ErrorClass::Disconnected),
///     BusError::Arbitration => None,
/// });
/// let down = io::Error::other(BusError::Down);
/// assert_eq!(classifier.classify(&down), ErrorClass::Disconnected);
/// let arbitration = io::Error::other(BusError::Arbitration);
/// assert_eq!(classifier.classify(&arbitration), ErrorClass::Other);
/// ```
#[derive(Clone, Default)]
pub struct Classifier {
    rules: Vec<Rule>,
}

impl Classifier {
    /// A classifier with the built-in rules only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule for errors of type `E`, behind those that were added before.
    ///
    /// `rule` gives a class, or `None` to leave the error to the next rule. `E` may be [`io::Error`].
    ///
    /// ```
    /// use hangup::errors::{Classifier, ErrorClass, classify};
    /// use std::io;
    ///
    /// // Here a refused connect means that the configured port is wrong.
    /// let classifier = Classifier::new().rule(|error: &io::Error| {
    ///     (error.kind() == io::ErrorKind::ConnectionRefused).then_some(ErrorClass::Misuse)
    /// });
    /// let refused = io::ErrorKind::ConnectionRefused.into();
    /// assert_eq!(classifier.classify(&refused), ErrorClass::Misuse);
    /// assert_eq!(classify(&refused), ErrorClass::Disconnected);
    /// ```
    #[must_use]
    pub fn rule<E, C>(mut self, rule: impl Fn(&E) -> C + Send + Sync + 'static) -> Self
    where
        E: Error + 'static,
        C: Into<Option<ErrorClass>>,
    {
        self.rules
            .push(Arc::new(move |error| rule(error.downcast_ref()?).into()));
        self
    }

    /// What `error` means for a sender: [`classify_error`](Self::classify_error) for an [`io::Error`].
    ///
    /// ```
    /// use hangup::errors::{Classifier, ErrorClass};
    /// use std::io::ErrorKind;
    ///
    /// let classifier = Classifier::new();
    /// assert_eq!(classifier.classify(&ErrorKind::TimedOut.into()), ErrorClass::Timeout);
    /// ```
    pub fn classify(&self, error: &io::Error) -> ErrorClass {
        self.classify_error(error)
    }

    /// What `error` means for a sender, given the call that failed with it.
    ///
    /// The rules decide first, as they do without a call, then
    /// [`classify_call`](super::classify_call).
    ///
    /// ```
    /// use hangup::errors::{Call, Classifier, ErrorClass};
    /// use std::io::ErrorKind;
    ///
    /// let classifier = Classifier::new();
    /// let error = ErrorKind::AddrNotAvailable.into();
    /// assert_eq!(classifier.classify_call(&error, Call::Connect), ErrorClass::LocalResources);
    /// assert_eq!(classifier.classify_call(&error, Call::Bind), ErrorClass::Misuse);
    /// ```
    pub fn classify_call(&self, error: &io::Error, call: Call) -> ErrorClass {
        self.judged_by_rules(error)
            .unwrap_or_else(|| classify::classify_call(error, call))
    }

    /// What `error` means for a sender: the answer of the first rule that has one for it or for an
    /// error inside it, or else that of [`classify_error`](super::classify_error).
    ///
    /// ```
    /// use hangup::errors::{Classifier, ErrorClass};
    ///
    /// let classifier = Classifier::new().rule(|_: &std::fmt::Error| ErrorClass::Misuse);
    /// assert_eq!(classifier.classify_error(&std::fmt::Error), ErrorClass::Misuse);
    /// ```
    pub fn classify_error(&self, error: &(dyn Error + 'static)) -> ErrorClass {
        self.judged_by_rules(error)
            .unwrap_or_else(|| classify::classify_error(error))
    }

    fn judged_by_rules(&self, error: &(dyn Error + 'static)) -> Option<ErrorClass> {
        Chain::new(error).find_map(|error| self.rules.iter().find_map(|rule| rule(error)))
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier")
            .field("rules", &self.rules.len())
            .finish()
    }
}
