//! The wrapper, its monitors, the watcher and the transfers, without a protocol above them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod accept;
mod auto_traits;
mod bad_input;
mod closed;
#[cfg(feature = "codec")]
mod codec;
mod copy;
mod delivered;
mod forwarding;
mod grace;
mod layer;
mod matrix;
mod recorder;
mod send_file;
mod stall;
mod stalled_sockets;
mod unread;
mod watcher;
