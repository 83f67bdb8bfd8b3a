//! A response that has ended.

use crate::request::Request;
use axum::http::{Method, StatusCode, Uri};
use hangup::Monitor;
use indicatif::HumanCount;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A response that has ended, and why.
///
/// `Display` writes one line that is safe to print: the request's target, which the client has chosen, is decoded and cut
/// after 160 characters, and its invisible characters are escaped.
///
/// ```text
/// 127.0.0.1:40112 GET /big.iso 200: 12,582,912 of 734,003,200 bytes, reset by peer (4,194,304 bytes not acknowledged, stopped 0.21 ms after the close, 0 bytes later)
/// ```
///
/// *Sent* means that HTTP has taken the bytes from the body: the last of them may still be in HTTP's buffer, in the
/// socket's, or on the way. Only [`unacknowledged`](Self::unacknowledged) says what the client's system has received.
#[derive(Debug, Clone)]
pub struct EndedResponse {
    pub(crate) peer: SocketAddr,
    pub(crate) request: Request,
    pub(crate) length: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) lasted: Duration,
    pub(crate) at: Instant,
    pub(crate) cut_short: Option<String>,
    pub(crate) unacknowledged: Option<u64>,
    pub(crate) after_close: Option<AfterClose>,
    /// The monitor of the connection, which may still be open.
    pub(crate) monitor: Monitor,
    /// A lower bound for the position of the response's last byte among the bytes of the connection.
    pub(crate) end: u64,
}

/// The work that was done after the client had left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AfterClose {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

/// How much of a response has arrived, as far as it is known now.
pub(crate) enum Delivery {
    /// All of it, or the system does not report it.
    Complete,
    /// All of it was sent, and the end is not acknowledged yet.
    Sent,
    /// It will never arrive, for this reason.
    CutShort(String),
}

impl EndedResponse {
    /// A response that was sent completely still counts as cut short if the peer leaves before it acknowledges the end.
    pub(crate) fn delivery(&self) -> Delivery {
        if let Some(why) = &self.cut_short {
            return Delivery::CutShort(why.clone());
        }
        let acknowledged = self.monitor.transfer().acknowledged;
        if acknowledged.is_none_or(|bytes| bytes >= self.end) {
            return Delivery::Complete;
        }
        match self.monitor.close_reason() {
            None => Delivery::Sent,
            // Bytes that were in flight when we closed may have arrived since.
            Some(reason) if reason.is_local() => Delivery::Sent,
            Some(reason) => Delivery::CutShort(format!("{reason} before all was acknowledged")),
        }
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.request.method
    }

    /// The request's target as the client sent it: any length, any character that HTTP allows.
    pub fn target(&self) -> &Uri {
        &self.request.target
    }

    /// The response's status; `None` if the handler had not answered.
    pub fn status(&self) -> Option<StatusCode> {
        self.request.status
    }

    /// How many bytes the body was to have, if that was known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many bytes of the body HTTP has taken.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// From the request to the end of the response.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// Whether HTTP has taken all of the body.
    pub fn is_complete(&self) -> bool {
        self.cut_short.is_none()
    }

    /// Why the response ended early, as text; `None` if it is complete.
    ///
    /// It is the connection's close reason, an error of the body, `cancelled` for an HTTP/2 stream that was reset, or
    /// `given up by this server` if the body was dropped and the connection stays open.
    pub fn cut_short(&self) -> Option<&str> {
        self.cut_short.as_deref()
    }

    /// If it was cut short: the bytes of the connection that the client's system had not acknowledged at that time.
    ///
    /// `None` where the system does not report this (see [`Monitor::transfer`](hangup::Monitor::transfer)), and for a
    /// response that is complete.
    pub fn unacknowledged(&self) -> Option<u64> {
        self.unacknowledged
    }
}

impl fmt::Display for EndedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {} ",
            self.peer,
            self.request,
            HumanCount(self.sent)
        )?;
        match self.length {
            Some(length) => write!(f, "of {} bytes, ", HumanCount(length))?,
            None => f.write_str("bytes, ")?,
        }
        f.write_str(self.cut_short().unwrap_or("complete"))?;
        let unacknowledged = self
            .unacknowledged
            .map(|bytes| format!("{} bytes not acknowledged", HumanCount(bytes)));
        let after_close = self.after_close.map(|AfterClose { time, bytes }| {
            let time = time.as_secs_f64() * 1e3;
            format!(
                "stopped {time:.2} ms after the close, {} bytes later",
                HumanCount(bytes)
            )
        });
        let facts: Vec<_> = unacknowledged.into_iter().chain(after_close).collect();
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        Ok(())
    }
}
