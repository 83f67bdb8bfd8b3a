//! The outbox beside a bare `FramedWrite`.

#[path = "../../../outbox/clock.rs"]
#[expect(dead_code, reason = "the processor's time is the benchmark's to show")]
mod clock;
#[path = "../../../outbox/compare.rs"]
#[expect(dead_code, reason = "the least rate is the benchmark's to judge")]
mod compare;
#[path = "../../../outbox/peer.rs"]
mod peer;

use crate::Result;
use crate::plot::ratios;
use crate::section::Measured;
use crate::spread::Spread;
use compare::{CASES, FED, compare};
use std::time::Duration;
use tokio::runtime::Builder;

const TIME: Duration = Duration::from_secs(4);

pub(crate) fn measure() -> Result<Measured> {
    let mut measured = Measured::default();
    measured.paragraph(
        "Messages a second through an outbox that keeps each until the peer's TCP has acknowledged it, and through a bare\n\
         `FramedWrite` of the same codec, which keeps nothing, in turns. `send` makes a receipt for each message; `feed` into the\n\
         outbox's sink makes none, as that of `FramedWrite`.",
    );
    let mut rows = Vec::new();
    let mut drawn = Vec::new();
    for case in CASES.iter().chain([&FED]) {
        let by = if case.receipts { "send" } else { "feed" };
        for name in ["multi-thread", "current-thread"] {
            let runtime = match name {
                "multi-thread" => Builder::new_multi_thread().enable_all().build()?,
                _ => Builder::new_current_thread().enable_all().build()?,
            };
            let turns = compare(&runtime, case, TIME, clock::elapsed)?;
            let ratio = Spread::of(turns.ratios);
            let figure = match case.receipts {
                true => format!("{}.{name}", case.size),
                false => format!("{by}.{}.{name}", case.size),
            };
            measured.spread(&figure, ratio, 2);
            drawn.push((format!("{by}, {} B, {name}", case.size), ratio));
            rows.push([
                by.to_owned(),
                case.size.to_string(),
                name.to_owned(),
                format!("{:.0}", Spread::of(turns.bare).median),
                format!("{:.0}", Spread::of(turns.outbox).median),
                format!("{ratio:.2}"),
            ]);
        }
    }
    measured.table(
        [
            "by",
            "message, bytes",
            "runtime",
            "bare, a second",
            "outbox, a second",
            "outbox, of bare",
        ],
        rows,
    );
    measured.plot(
        "outbox",
        "What the outbox has of the bare rate",
        ratios("outbox, of bare (1: the same)", &drawn)?,
    );
    Ok(measured)
}
