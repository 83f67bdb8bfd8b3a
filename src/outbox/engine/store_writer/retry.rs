//! When a call of the store that has failed is tried again.

use std::time::Duration;

/// The delay after a failure. It doubles with each failure in a row, up to [`LAST_RETRY`].
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest delay between two attempts.
pub(super) const LAST_RETRY: Duration = Duration::from_secs(60);
