//! The classification with additional rules for the errors of other crates.

use super::call::Call;
use super::chain::Chain;
use super::class::ErrorClass;
use super::{classify, well_known};
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

type Rule = Arc<dyn Fn(&(dyn Error + 'static)) -> Option<ErrorClass> + Send + Sync>;

/// The classification with additional rules for the errors of other crates.
///
/// A rule applies to one type of error. The classifier walks the chain of errors from the outside in, and applies the
/// rules to each error in the order in which they were added. The first answer counts. If no rule has an answer for any
/// error of the chain, the built-in rules decide, and then those of [`well_known`](Self::well_known).
///
/// Create it once, for example in a [`LazyLock`](std::sync::LazyLock). A clone shares the rules.
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
    well_known: bool,
}

impl Classifier {
    /// A classifier with the built-in rules only.
    ///
    /// ```
    /// use hangup::errors::{Classifier, ErrorClass};
    /// use std::io::ErrorKind;
    ///
    /// let broken_pipe = ErrorKind::BrokenPipe.into();
    /// assert_eq!(Classifier::new().classify(&broken_pipe), ErrorClass::Disconnected);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A classifier with rules for errors of hyper, h2, reqwest, tungstenite, tonic, quinn, redis and
    /// tokio-postgres whose cause the built-in rules cannot find.
    ///
    /// They compare the text that these errors print. They come last, after the added rules and the built-in ones. If
    /// a later release of such a crate prints something else, the error is [`Other`](ErrorClass::Other).
    /// PostgreSQL's own messages are known in English only.
    ///
    /// | crate | tried with version | what is covered |
    /// |---|---|---|
    /// | hyper, hyper-util | 1 | an incomplete message, a closed or cancelled connection, the header timeout |
    /// | h2 | 0.4 | GOAWAY, resets, streams that were refused or cancelled, I/O errors |
    /// | reqwest | 0.13 | its own timeout |
    /// | tungstenite | 0.30 | a closed connection, a close without handshake, HTTP 429, 502, 503 and 504 |
    /// | tonic, tower | 0.14, 0.5 | `Unavailable`, deadlines and timeouts, permissions |
    /// | quinn | 0.11 | the end of a connection or stream, the idle timeout |
    /// | redis | 1 | a server that is loading, read-only, down or full |
    /// | tokio-postgres | 0.7 | closed connections, timeouts, a server that starts or stops, a wrong password |
    ///
    /// ```
    /// use hangup::errors::{Classifier, ErrorClass, classify_error};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(async move {
    /// #     let (mut stream, _) = listener.accept().await.unwrap();
    /// #     tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await
    /// # });
    /// # let stream = tokio::net::TcpStream::connect(address).await?;
    /// # let io = hyper_util::rt::TokioIo::new(stream);
    /// # let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    /// # tokio::spawn(connection);
    /// # let request = hyper::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
    /// // The server closes in place of an answer, and hyper's error has no source.
    /// let error = sender.send_request(request).await.unwrap_err();
    /// assert_eq!(classify_error(&error), ErrorClass::Other);
    /// let classifier = Classifier::well_known();
    /// assert_eq!(classifier.classify_error(&error), ErrorClass::Disconnected);
    /// # Ok(())
    /// # }
    /// ```
    pub fn well_known() -> Self {
        Self {
            rules: Vec::new(),
            well_known: true,
        }
    }

    /// Adds a rule for errors of type `E`, after the rules that were added before.
    ///
    /// `rule` returns a class, or `None` to leave the error to the next rule. `E` may be [`io::Error`].
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
    /// The added rules decide first, as they do without a call. Then [`classify_call`](super::classify_call) decides.
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
        let judged = self
            .judged_by_rules(error)
            .or_else(|| classify::judged_by_call(error, call))
            .or_else(|| {
                self.judged_as_well_known(error)
                    .map(|class| call.adjust(class))
            });
        judged.unwrap_or_else(|| call.adjust(ErrorClass::Other))
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
        let judged = self
            .judged_by_rules(error)
            .or_else(|| classify::judged(error).map(|verdict| verdict.class))
            .or_else(|| self.judged_as_well_known(error));
        judged.unwrap_or(ErrorClass::Other)
    }

    fn judged_by_rules(&self, error: &(dyn Error + 'static)) -> Option<ErrorClass> {
        Chain::new(error).find_map(|error| self.rules.iter().find_map(|rule| rule(error)))
    }

    fn judged_as_well_known(&self, error: &(dyn Error + 'static)) -> Option<ErrorClass> {
        let chain = self.well_known.then(|| Chain::new(error));
        chain?.find_map(well_known::judge)
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier")
            .field("rules", &self.rules.len())
            .field("well_known", &self.well_known)
            .finish()
    }
}
