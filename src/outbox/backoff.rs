//! The delays between attempts to connect.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The default back-off: exponential, with jitter, endless.
///
/// # Default
///
/// * The first delay is at most 200 ms. The limit doubles with each delay, up to 10 s.
/// * Each delay is random, between half of its limit and the whole, so that the clients of a restarted server do not
///   all connect at the same moment.
///
/// [`Builder::backoff`](super::Builder::backoff) also takes any other
/// `IntoIterator<Item = Duration> + Clone`. For example:
///
/// ```
/// use hangup::outbox::Outbox;
/// use std::iter::repeat;
/// use std::time::Duration;
/// use tokio::net::TcpStream;
/// use tokio_util::codec::LinesCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// // At once, after a second, and then once a minute for as long as it takes.
/// let delays = [0, 1].map(Duration::from_secs).into_iter().chain(repeat(Duration::from_secs(60)));
/// assert_eq!(delays.clone().nth(99), Some(Duration::from_secs(60)));
/// let outbox = Outbox::<String>::builder(|| TcpStream::connect("127.0.0.1:9"), LinesCodec::new)
///     .backoff(delays)
///     .spawn()?;
/// # drop(outbox);
/// # Ok(())
/// # }
/// ```
///
/// Itself it is such an iterator:
///
/// ```
/// use hangup::outbox::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(1))?;
/// let delays: Vec<Duration> = backoff.into_iter().take(50).collect();
/// assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
/// assert!(delays[49] >= Duration::from_millis(500) && delays[49] <= Duration::from_secs(1));
/// # Ok::<_, hangup::outbox::BackoffError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: Option<usize>,
}

impl Backoff {
    /// A back-off whose first delay is at most `first`. The limit doubles with each delay, up to `longest`.
    ///
    /// # Errors
    ///
    /// `first` is shorter than a millisecond, or longer than `longest`; or `longest` is longer than a day.
    ///
    /// ```
    /// use hangup::outbox::{Backoff, BackoffError};
    /// use std::time::Duration;
    ///
    /// let (short, long) = (Duration::from_millis(50), Duration::from_secs(5));
    /// let first = Backoff::exponential(short, long)?.into_iter().next();
    /// assert!(first.is_some_and(|delay| delay >= short / 2 && delay <= short));
    ///
    /// let swapped = Backoff::exponential(long, short).unwrap_err();
    /// assert_eq!(swapped.to_string(), "the first delay, 5s, is longer than the longest, 50ms");
    /// # Ok::<_, BackoffError>(())
    /// ```
    pub fn exponential(first: Duration, longest: Duration) -> Result<Self, BackoffError> {
        if first < Self::SHORTEST {
            Err(BackoffError::FirstTooShort(first))
        } else if first > longest {
            Err(BackoffError::FirstAboveLongest { first, longest })
        } else if longest > Self::DAY {
            Err(BackoffError::LongestTooLong(longest))
        } else {
            Ok(Self {
                first,
                longest,
                attempts: None,
            })
        }
    }

    /// Ends after this many delays. Then the outbox gives up. Default: endless.
    ///
    /// ```
    /// use hangup::outbox::Backoff;
    ///
    /// assert_eq!(Backoff::default().attempts(3).into_iter().count(), 3);
    /// ```
    #[must_use]
    pub const fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = Some(attempts);
        self
    }

    const SHORTEST: Duration = Duration::from_millis(1);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            attempts: None,
        }
    }
}

impl IntoIterator for Backoff {
    type Item = Duration;
    type IntoIter = Delays;

    fn into_iter(self) -> Delays {
        // backon's jitter adds at most the whole delay, so backon gets half of each delay.
        let builder = ExponentialBuilder::new()
            .with_min_delay(self.first / 2)
            .with_max_delay(self.longest / 2)
            .with_factor(2.0)
            .with_jitter();
        let builder = match self.attempts {
            Some(attempts) => builder.with_max_times(attempts),
            None => builder.without_max_times(),
        };
        Delays {
            delays: builder.build(),
            longest: self.longest,
        }
    }
}

/// The delays of a [`Backoff`].
///
/// It is an endless iterator, unless [`Backoff::attempts`] limits it. A program can use it for retries of its own:
///
/// ```
/// use hangup::outbox::Backoff;
/// use std::time::Duration;
///
/// let mut delays = Backoff::default().attempts(2).into_iter();
/// assert!(delays.next().is_some_and(|delay| delay <= Duration::from_millis(200)));
/// assert!(delays.next().is_some_and(|delay| delay <= Duration::from_millis(400)));
/// assert_eq!(delays.next(), None);
/// ```
#[derive(Debug)]
pub struct Delays {
    delays: ExponentialBackoff,
    longest: Duration,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // backon computes with 32-bit floats, so a delay may be rounded up.
        self.delays.next().map(|delay| delay.min(self.longest))
    }
}

/// Why [`Backoff::exponential`] refused its arguments.
///
/// ```
/// use hangup::outbox::{Backoff, BackoffError};
/// use std::time::Duration;
///
/// let error = Backoff::exponential(Duration::ZERO, Duration::from_secs(1)).unwrap_err();
/// assert!(matches!(error, BackoffError::FirstTooShort(_)));
/// assert_eq!(error.to_string(), "the first delay, 0ns, is shorter than a millisecond");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackoffError {
    /// The first delay is shorter than a millisecond.
    FirstTooShort(Duration),
    /// The first delay is longer than the longest.
    #[non_exhaustive]
    FirstAboveLongest {
        /// The first delay.
        first: Duration,
        /// The longest.
        longest: Duration,
    },
    /// The longest delay is longer than a day.
    LongestTooLong(Duration),
}

impl fmt::Display for BackoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstTooShort(first) => {
                write!(
                    f,
                    "the first delay, {first:?}, is shorter than a millisecond"
                )
            }
            Self::FirstAboveLongest { first, longest } => {
                write!(
                    f,
                    "the first delay, {first:?}, is longer than the longest, {longest:?}"
                )
            }
            Self::LongestTooLong(longest) => {
                write!(f, "the longest delay, {longest:?}, is longer than a day")
            }
        }
    }
}

impl Error for BackoffError {}
