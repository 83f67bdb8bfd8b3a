//! The command line.

use std::time::Duration;

pub(crate) const HELP: &str = "\
Lets clients leave in every way there is, and prints who notices: a naive send loop, a watcher that
reads, and `hangup`.

Usage: detection [OPTIONS]

Options:
  --limit SECONDS      how long to wait before it is called \"never\" [default: 4]
  --read-ahead BYTES   how much the watcher that reads may take in before it has to stop, as what it
                       reads is the next request's or the body's [default: 1, as in hyper, which
                       watches no more when there is anything unread]
  -h, --help           print this help

Each cell has two lines: the milliseconds from the client's leaving to the handler's knowing, and the
bytes that were produced in that time, for nobody; then what the handler was told.";

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) limit: Duration,
    pub(crate) read_ahead: usize,
}

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            limit: Duration::from_secs(4),
            read_ahead: 1,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Long("limit") => options.limit = Duration::from_secs(args.value()?.parse()?),
                Long("read-ahead") => options.read_ahead = args.value()?.parse()?,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        if options.limit.is_zero() || options.read_ahead == 0 {
            return Err("--limit and --read-ahead are 1 at least".into());
        }
        Ok(Some(options))
    }
}
