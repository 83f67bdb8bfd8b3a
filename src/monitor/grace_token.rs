//! The token of a grace period.

use super::grace_period::GracePeriod;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A [`CancellationToken`] that is cancelled at the end of a grace period. Returned by
/// [`Grace::cancellation_token`](super::Grace::cancellation_token).
///
/// It dereferences to the token, so `cancelled().await`, `is_cancelled()` and the like can be called on it directly. It
/// is also a handle: the period continues while a [`Grace`](super::Grace) or a `GraceToken` of it exists.
///
/// # Plain tokens are not handles
///
/// `token.child_token()` and `CancellationToken::clone(&token)` return plain tokens, which do not keep the period alive.
/// A plain token cannot report its own drop, so the period would otherwise stay until its connection closes. When the
/// last handle is dropped, all plain tokens are cancelled. Keep the `GraceToken` beside the work that uses them.
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
    /// The drop of the last one ends the period.
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
    /// Cancel safe. The future owns the token, so dropping the future may drop the last handle and end the period.
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
