//! Several addresses, tried in turn.

use super::give_up::{is_mistake, is_resolution};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

type Attempt<C> = Pin<Box<dyn Future<Output = io::Result<C>> + Send>>;

/// Makes a `connect` for [`Outbox::builder`](super::Outbox::builder) that tries several addresses in turn, each for at
/// most `within`, until one of them connects.
///
/// Each call begins with the address after the one that was tried last. So a server that accepts connections and closes
/// them does not keep the outbox from the other addresses.
/// [`Builder::connect_timeout`](super::Builder::connect_timeout) limits the whole call. If it ends the call early, the next
/// call continues with the next address. To try all addresses in each call, set it to more than `within` times their number.
///
/// # Errors
///
/// If no address connects, the error carries [`AddressErrors`] with the error of each address. Its kind is that of the
/// first temporary error, so the outbox [gives up](super::Builder::give_up_on) only if the errors of all addresses mean a
/// mistake in the program. Without any address it is [`InvalidInput`](io::ErrorKind::InvalidInput).
///
/// # Cancel safety
///
/// Dropping the future drops the running attempt.
///
/// ```
/// use hangup::outbox::{Outbox, connect_in_turn};
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let second = listener.local_addr()?.to_string();
/// let stations = ["127.0.0.1:1".to_owned(), second];
/// let connect = connect_in_turn(stations, Duration::from_secs(3), TcpStream::connect);
/// let outbox = Outbox::builder(connect, LinesCodec::new).spawn()?;
/// drop(outbox.send("door 7 opened").await?);
/// listener.accept().await?;
/// # Ok(())
/// # }
/// ```
pub fn connect_in_turn<A, R, C>(
    addresses: impl IntoIterator<Item = A>,
    within: Duration,
    connect: impl FnMut(A) -> R + Clone + Send + Sync + 'static,
) -> impl FnMut() -> Attempt<C> + Send + 'static
where
    A: Clone + fmt::Display + Send + Sync + 'static,
    R: Future<Output = io::Result<C>> + Send + 'static,
    C: Send + 'static,
{
    let addresses: Arc<[A]> = addresses.into_iter().collect();
    let first = Arc::new(AtomicUsize::new(0));
    move || {
        let (addresses, first, mut connect) = (addresses.clone(), first.clone(), connect.clone());
        Box::pin(async move {
            let count = addresses.len();
            let begin = first.load(Relaxed);
            let mut errors = Vec::new();
            for place in (begin..begin + count).map(|place| place % count) {
                let address = &addresses[place];
                // Stored before the attempt, because the future may be dropped while it waits.
                first.store((place + 1) % count, Relaxed);
                let attempt = tokio::time::timeout(within, connect(address.clone()));
                let error = match attempt.await {
                    Ok(Ok(connected)) => return Ok(connected),
                    Ok(Err(error)) => error,
                    Err(_) => {
                        let what = format!("no connection within {within:?}");
                        io::Error::new(io::ErrorKind::TimedOut, what)
                    }
                };
                errors.push((address.to_string(), error));
            }
            Err(AddressErrors { errors }.into())
        })
    }
}

/// Why none of several addresses connected: what the error of [`connect_in_turn`] carries.
///
/// ```
/// use hangup::outbox::{AddressErrors, connect_in_turn};
/// use std::io::ErrorKind;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let refused = |_: &str| async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) };
/// let mut connect = connect_in_turn(["first:1", "second:2"], Duration::from_secs(1), refused);
/// let error = connect().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
/// let errors = error.get_ref().and_then(|inner| inner.downcast_ref::<AddressErrors>());
/// let addresses: Vec<_> = errors.unwrap().iter().map(|(address, _)| address).collect();
/// assert_eq!(addresses, ["first:1", "second:2"]);
/// # }
/// ```
#[derive(Debug)]
pub struct AddressErrors {
    errors: Vec<(String, io::Error)>,
}

impl AddressErrors {
    /// The addresses in the order in which they were tried, each with its error.
    ///
    /// ```
    /// use hangup::outbox::{AddressErrors, connect_in_turn};
    /// use std::io::{self, ErrorKind};
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let connect = |address: &'static str| async move {
    ///     let kind = if address == "first" { ErrorKind::InvalidInput } else { ErrorKind::ConnectionRefused };
    ///     Err::<TcpStream, _>(io::Error::from(kind))
    /// };
    /// let error = connect_in_turn(["first", "second"], Duration::from_secs(1), connect)().await.unwrap_err();
    /// // The second address may work later, so this is not a reason to give up.
    /// assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    /// let errors = error.get_ref().and_then(|inner| inner.downcast_ref::<AddressErrors>()).unwrap();
    /// let kinds: Vec<ErrorKind> = errors.iter().map(|(_, error)| error.kind()).collect();
    /// assert_eq!(kinds, [ErrorKind::InvalidInput, ErrorKind::ConnectionRefused]);
    /// # }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &io::Error)> {
        let errors = self.errors.iter();
        errors.map(|(address, error)| (address.as_str(), error))
    }

    /// The kind of the first temporary error, or else of the first error.
    fn kind(&self) -> io::ErrorKind {
        let mut errors = self.errors.iter().map(|(_, error)| error);
        let first = errors.clone().next();
        match errors.find(|error| !is_mistake(error)) {
            // Its own kind would mean a mistake.
            Some(error) if is_resolution(error) => io::ErrorKind::HostUnreachable,
            Some(error) => error.kind(),
            None => first.map_or(io::ErrorKind::InvalidInput, io::Error::kind),
        }
    }
}

impl fmt::Display for AddressErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            return f.write_str("hangup: there is no address to connect to");
        }
        for (place, (address, error)) in self.errors.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

impl Error for AddressErrors {}

impl From<AddressErrors> for io::Error {
    fn from(errors: AddressErrors) -> Self {
        Self::new(errors.kind(), errors)
    }
}
