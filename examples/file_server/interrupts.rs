//! Ctrl-C, as often as it comes.

use std::io;

/// From this call on, Ctrl-C does not end the process: `recv()` tells of it.
#[cfg(unix)]
pub(crate) fn interrupts() -> io::Result<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::interrupt())
}

/// From this call on, Ctrl-C does not end the process: `recv()` tells of it.
#[cfg(windows)]
pub(crate) fn interrupts() -> io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
