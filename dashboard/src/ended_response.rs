//! A response that is over: what the report prints, and the dashboard shows.

use crate::exchange::Exchange;
use crate::span::Span;
use hangup::Monitor;
use indicatif::HumanCount;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) struct Ended {
    pub(crate) client: SocketAddr,
    pub(crate) exchange: Exchange,
    /// The bytes of the body to send, and how many of them the kernel accepted.
    pub(crate) bytes: u64,
    pub(crate) accepted: u64,
    pub(crate) begun: Instant,
    pub(crate) at: Instant,
    /// Why not all of it was accepted, if it was not.
    pub(crate) why: Option<String>,
    pub(crate) hang_up: Option<AfterHangUp>,
    pub(crate) span: Span,
    /// The connection's, which may go on.
    pub(crate) monitor: Monitor,
}

/// What was done for nobody.
pub(crate) struct AfterHangUp {
    /// How long after the hang-up the reading stopped.
    pub(crate) late: Duration,
    /// The bytes that were read in this time.
    pub(crate) read: u64,
}

/// How a response has ended.
pub(crate) enum Outcome {
    /// All of it was acknowledged.
    Complete,
    /// All of it was accepted. It is on its way, or it cannot be known whether it arrived.
    Sent,
    /// Not all of it will arrive, or not all of it was sent, for this reason.
    CutShort(String),
}

impl Ended {
    /// The bytes of the body that the client's system has acknowledged until now, where that is known.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        let acknowledged = self.monitor.transfer().acknowledged?;
        Some(self.span.of_body(acknowledged))
    }

    /// As it stands when `acknowledged` bytes of it are.
    ///
    /// What is sent to the end is cut short nevertheless if the peer leaves before it has acknowledged
    /// it. If it was us who closed, the rest may have been on its way.
    pub(crate) fn outcome(&self, acknowledged: Option<u64>) -> Outcome {
        if let Some(why) = &self.why {
            return Outcome::CutShort(why.clone());
        }
        if acknowledged.is_some_and(|acknowledged| acknowledged >= self.bytes) {
            return Outcome::Complete;
        }
        match (acknowledged, self.monitor.close_reason()) {
            (Some(_), Some(reason)) if !reason.is_local() => {
                Outcome::CutShort(format!("{reason} before all was acknowledged"))
            }
            _ => Outcome::Sent,
        }
    }

    /// The line of the report.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "{} {}: {} of {} bytes accepted, ",
            self.client,
            self.exchange,
            HumanCount(self.accepted),
            HumanCount(self.bytes)
        );
        let Some(why) = &self.why else {
            line += "complete";
            return line;
        };
        line += why;
        if let Some(acknowledged) = self.acknowledged() {
            line += &format!(", {} bytes acknowledged", HumanCount(acknowledged));
        }
        if let Some(AfterHangUp { late, read }) = &self.hang_up {
            line += &format!(
                "; reading stopped {:.2} ms after the hang-up, {} bytes read after it, {} in all",
                late.as_secs_f64() * 1e3,
                HumanCount(*read),
                HumanCount(self.span.read)
            );
        }
        line
    }
}
