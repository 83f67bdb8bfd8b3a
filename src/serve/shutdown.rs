//! When a server shuts down.

use std::future::Future;
use std::pin::Pin;

pub(super) type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What begins the end of a server.
#[derive(Default)]
pub(super) struct Shutdown {
    pub(super) graceful: Option<Signal>,
    pub(super) at_once: Option<Signal>,
    pub(super) on_signals: bool,
}
