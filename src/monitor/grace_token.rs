//! The token of a grace period.

use super::grace_period::GracePeriod;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A [`CancellationToken`] that is cancelled at the end of a grace period. Returned by
/// [`Grace::cancellation_token`](super::Grace::cancellation_token).
///
/// It dereferences to the token, so that `cancelled().await`, `is_cancelled()` and the like are called on it directly.
/// Beside that it is a handle: the period goes on while a [`Grace`](super::Grace) or a `GraceToken` of it exists.
/// Tokens that are cloned or derived from the dereferenced token are no handles. The drop of the last handle cancels
/// them, as nothing could tell when they are dropped, and what the period holds would stay until its connection closes.
///
/// ```
/// use hangup::MonitoredStream;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
/// let token = stream.monitor().grace_period(Duration::from_secs(30))?.cancellation_token();
/// // A library that takes a token of its own.
/// let derived = token.child_token();
/// assert!(!derived.is_cancelled());
/// drop(token); // the work is done
/// assert!(derived.is_cancelled());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "the drop of the last handle and the last token ends the grace period"]
pub struct GraceToken {
    token: CancellationToken,
    /// With the last of these the period ends.
    _period: Arc<GracePeriod>,
}

impl GraceToken {
    pub(super) fn new(token: CancellationToken, period: Arc<GracePeriod>) -> Self {
        Self {
            token,
            _period: period,
        }
    }

    /// Waits for the end of the period, and owns the token while it waits.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. The future owns the token: its drop may be that of the last handle.
    ///
    /// ```
    /// use hangup::MonitoredStream;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> std::io::Result<()> {
    /// let stream = MonitoredStream::unwatched(tokio::io::duplex(64).0);
    /// let token = stream.monitor().grace_period(Duration::from_secs(30))?.cancellation_token();
    /// let waiting = tokio::spawn(token.clone().cancelled_owned());
    /// drop(stream);
    /// waiting.await?;
    /// assert!(token.is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancelled_owned(self) {
        self.token.cancelled().await;
    }
}

impl Deref for GraceToken {
    type Target = CancellationToken;

    fn deref(&self) -> &CancellationToken {
        &self.token
    }
}

impl fmt::Debug for GraceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraceToken")
            .field("is_cancelled", &self.token.is_cancelled())
            .finish()
    }
}
