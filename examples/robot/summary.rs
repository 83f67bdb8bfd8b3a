//! The summary at the end.

use crate::cuts::Cut;
use crate::proxy::Tally;
use crate::station::Seen;
use indicatif::HumanCount;
use std::fmt;

pub(crate) struct Summary {
    /// Reports that the outbox took from the robot.
    pub(crate) events: u64,
    pub(crate) telemetry: u64,
    /// Events whose receipt says that they were delivered.
    pub(crate) confirmed: u64,
    /// How often an event was sent again.
    pub(crate) resent: u64,
    /// What the base station counted.
    pub(crate) seen: Seen,
    pub(crate) cuts: std::sync::Arc<Tally>,
}

impl Summary {
    /// Events that are confirmed, and that the base station has never seen.
    pub(crate) fn lost(&self) -> u64 {
        self.confirmed.saturating_sub(self.seen.events)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |cells: [&str; 6]| {
            let [name, cells @ ..] = cells;
            write!(f, "{name:18}")?;
            for cell in cells {
                write!(f, "{cell:>11}")?;
            }
            writeln!(f)
        };
        let count = |number| HumanCount(number).to_string();
        let seen = self.seen;
        row(["", "sent", "delivered", "resent", "dropped", "lost"])?;
        row([
            "important events",
            &count(self.events),
            &count(seen.events),
            &count(self.resent),
            "0",
            &count(self.lost()),
        ])?;
        row([
            "telemetry",
            &count(self.telemetry),
            &count(seen.telemetry),
            "0",
            &count(self.telemetry - seen.telemetry),
            "-",
        ])?;
        let of = |cut| HumanCount(self.cuts.of(cut));
        write!(
            f,
            "\nThe link was cut {} times: {} by FIN, {} by RST, {} as a black hole.\n\
             {} events arrived twice; the base station counted them once.",
            HumanCount(self.cuts.all()),
            of(Cut::Fin),
            of(Cut::Reset),
            of(Cut::BlackHole),
            count(seen.again),
        )?;
        let undelivered = self.events - self.confirmed;
        if undelivered > 0 {
            write!(
                f,
                "\n{} events were not confirmed in time, and came back to the robot.",
                count(undelivered)
            )?;
        }
        Ok(())
    }
}
