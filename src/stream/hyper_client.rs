//! A monitored stream as the connection of hyper-util's pooled client.

use super::monitored_stream::MonitoredStream;
use hyper_util::client::legacy::connect::{Connected, Connection};

/// Adds the [`Monitor`](crate::Monitor) to the extensions of each response, beside what the wrapped stream tells.
impl<S: Connection> Connection for MonitoredStream<S> {
    fn connected(&self) -> Connected {
        self.get_ref().connected().extra(self.monitor())
    }
}
