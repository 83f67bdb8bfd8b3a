//! What the robot reports: numbered lines.

use bytes::BytesMut;
use hangup::outbox::{Importance, Message};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio_util::codec::{Encoder, LinesCodec, LinesCodecError};

/// How long telemetry is worth sending.
const TTL: Duration = Duration::from_millis(250);

/// One line: `event 20 at waypoint 2`, `telemetry 21 battery 93.0 %`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Event { number: u64 },
    Telemetry { number: u64 },
}

impl Report {
    /// The longest line.
    pub(crate) const LONGEST: usize = 80;

    /// The report with this number: every tenth is an event.
    pub(crate) fn numbered(number: u64) -> Self {
        match number % 10 {
            0 => Self::Event { number },
            _ => Self::Telemetry { number },
        }
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Event { number } | Self::Telemetry { number } => number,
        }
    }

    pub(crate) fn importance(self) -> Importance {
        match self {
            Self::Event { .. } => Importance::Important,
            Self::Telemetry { .. } => Importance::BestEffort { ttl: TTL },
        }
    }
}

impl Message for Report {
    fn size(&self) -> usize {
        Self::LONGEST
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { number } => write!(f, "event {number} at waypoint {}", number / 10),
            Self::Telemetry { number } => {
                let battery = 1000 - number % 1000;
                write!(
                    f,
                    "telemetry {number} battery {}.{} %",
                    battery / 10,
                    battery % 10
                )
            }
        }
    }
}

impl FromStr for Report {
    type Err = String;

    /// Refuses a line that is cut, or that no robot has written.
    fn from_str(line: &str) -> Result<Self, String> {
        let number = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        number
            .map(Self::numbered)
            .filter(|report| report.to_string() == line)
            .ok_or_else(|| format!("no report: {line:?}"))
    }
}

/// Encodes each report as one line.
pub(crate) struct Lines(LinesCodec);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(LinesCodec::new())
    }
}

impl Encoder<Report> for Lines {
    type Error = LinesCodecError;

    fn encode(&mut self, report: Report, bytes: &mut BytesMut) -> Result<(), LinesCodecError> {
        self.0.encode(report.to_string(), bytes)
    }
}
