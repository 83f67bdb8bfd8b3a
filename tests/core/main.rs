//! The wrapper, its monitors, the watcher and the transfers, without a protocol above them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod accept;
#[cfg(feature = "http")]
mod answered;
mod auto_traits;
mod bad_input;
mod closed;
#[cfg(feature = "codec")]
mod codec;
#[cfg(unix)]
mod construct;
mod copy;
mod delivered;
#[cfg(unix)] // the bare stream's WSAESHUTDOWN has no kind of std
mod differential;
mod direct_io;
mod duplicates;
mod finish_after_fin;
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
mod foreign_descriptor;
mod forwarding;
mod grace;
mod half_close;
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
mod kinds;
mod layer;
mod linger;
mod matrix;
// seccompiler makes filters for these processors.
#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    ),
    not(hangup_fallback)
))]
mod no_tcp_info;
mod owed;
mod panics;
mod pass_on;
mod recorder;
#[cfg(feature = "test-util")]
mod scripted;
mod send_file;
mod settled;
mod signal;
mod slow_file;
mod split;
mod split_turns;
mod stall;
mod stalled_sockets;
mod unread;
mod verdict;
#[cfg(all(target_os = "linux", not(hangup_fallback)))]
mod watch_only;
mod watcher;
