//! What a slice is measured by.

use std::error::Error;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A time since some moment.
pub(crate) type Clock = fn() -> Result<Duration, Box<dyn Error>>;

/// The time that passes.
pub(crate) fn elapsed() -> Result<Duration, Box<dyn Error>> {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Ok(START.elapsed())
}

/// The processor's time of this thread, in the program and in the kernel. A busy machine disturbs it less.
#[cfg(target_os = "linux")]
pub(crate) fn of_thread() -> Result<Duration, Box<dyn Error>> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}
