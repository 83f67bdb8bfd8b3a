//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A language model, played: a thread computes tokens, and a page shows them as server-sent events. When the
browser's tab is closed the thread stops within one token.

Usage: tokens [--listen ADDR] [--tokens N] [--work MS] [--naive]
       tokens --drive [--tokens N] [--work MS]

Options:
  --listen ADDR  where to listen [default: 127.0.0.1:8081; port 0 takes a free one]
  --tokens N     how long an answer is, in tokens [default: 300]
  --work MS      how long a token takes to compute [default: 10]
  --naive        the way it is often written: the thread puts its tokens into a channel, does not look
                 whether anybody takes them, and finishes the answer
  --drive        play the client too: ask both servers, read ten tokens, leave, and compare
  -h, --help     print this help

Standard output gets one line an answer: the client, how many tokens were made, how many of them HTTP
took, why it stopped, how many were made after the client had left, and how long all of it was computed.";

/// How answers are made.
#[derive(Clone, Copy)]
pub(crate) struct Generator {
    pub(crate) tokens: u32,
    pub(crate) work: Duration,
    pub(crate) naive: bool,
}

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) generator: Generator,
    pub(crate) drive: bool,
}

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            generator: Generator {
                tokens: 300,
                work: Duration::from_millis(10),
                naive: false,
            },
            drive: false,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Long("listen") => options.listen = args.value()?.parse()?,
                Long("tokens") => options.generator.tokens = args.value()?.parse()?,
                Long("work") => {
                    options.generator.work = Duration::from_millis(args.value()?.parse()?);
                }
                Long("naive") => options.generator.naive = true,
                Long("drive") => options.drive = true,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Some(options))
    }
}
