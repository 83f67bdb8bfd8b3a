//! The command line.

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A robot that reports over a link that is cut again and again, and loses nothing that matters.

Usage: robot [OPTIONS]

Options:
  --messages N       how many messages to send, 10 at least; every tenth is an important event, the
                     others are telemetry [default: 2000]
  --seconds S        how long the sending takes, 1 to 3600 [default: 10]
  --cuts N           how often the link is cut at most [default: 25]
  --seed N           where and how it is cut follows from this number [default: 1]
  --confirm HOW      what confirms a message: \"peer\", the base station's reply to it, or
                     \"acknowledged\", its TCP's acknowledgement (Linux only) [default: peer]
  -h, --help         print this help

A proxy of this program's own stands between the robot and its base station. It cuts by FIN, by RST, or
as a black hole that holds the connection for up to 0.4 s without a word. What it had taken from the
robot by then is gone. With \"--confirm acknowledged\" it hands that to the base station first: nobody
else can, and no robot can know.

Events are important: kept until they are confirmed, and sent again after each reconnect. Telemetry is
best effort: sent at most once, and dropped when it is 0.25 s old and not yet written.

Standard error shows how the link stands: one line that changes, or a line for each change if it is no
terminal. Standard output gets the summary, counted by the base station. Ctrl-C stops the sending, and
waits for what is queued for up to 5 s; a second one does not wait.

The exit status is 0 if no event was lost.";

#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) messages: u64,
    pub(crate) duration: Duration,
    pub(crate) cuts: u64,
    pub(crate) seed: u64,
    pub(crate) confirm: Confirmed,
}

/// What confirms a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    ByPeer,
    Acknowledged,
}

const MESSAGES: RangeInclusive<u64> = 10..=1_000_000_000;
const SECONDS: RangeInclusive<u64> = 1..=3600;

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            messages: 2000,
            duration: Duration::from_secs(10),
            cuts: 25,
            seed: 1,
            confirm: Confirmed::ByPeer,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Long("messages") => options.messages = args.value()?.parse()?,
                Long("seconds") => {
                    let seconds = args.value()?.parse()?;
                    if !SECONDS.contains(&seconds) {
                        return Err("--seconds S is not 1 to 3600".into());
                    }
                    options.duration = Duration::from_secs(seconds);
                }
                Long("cuts") => options.cuts = args.value()?.parse()?,
                Long("seed") => options.seed = args.value()?.parse()?,
                Long("confirm") => options.confirm = args.value()?.parse_with(parse_confirmed)?,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        if !MESSAGES.contains(&options.messages) {
            return Err("--messages N is not 10 to 1000000000".into());
        }
        Ok(Some(options))
    }
}

fn parse_confirmed(how: &str) -> Result<Confirmed, &'static str> {
    match how {
        "peer" => Ok(Confirmed::ByPeer),
        "acknowledged" if cfg!(target_os = "linux") => Ok(Confirmed::Acknowledged),
        "acknowledged" => Err("only Linux tells what TCP has acknowledged"),
        _ => Err("it is \"peer\" or \"acknowledged\""),
    }
}
