//! The command line.

use hangup::HalfClose;
use std::net::SocketAddr;

pub(crate) const HELP: &str = "\
Passes TCP connections on, and ends both sides of one at once when either of them hangs up.

Usage: proxy [OPTIONS] LISTEN TARGET

  LISTEN          where to listen, say 127.0.0.1:8080; port 0 takes a free one
  TARGET          the server's address, say 127.0.0.1:80 or example.org:80

Options:
  --half-close    a FIN ends one direction only, and is passed on
  --metrics ADDR  serve the counters for Prometheus on http://ADDR/metrics
                  (build with --features metrics)
  --trace         tell of the end of each stream on standard error (build with --features tracing)
  -h, --help      print this help

What a side had sent before it left is still delivered to the other one. A side that has something to
take and takes less than 64 KiB in a minute is reset.

Standard output gets one line a connection, at its end: for the client and for the server how many
bytes came from it, how many its socket accepted, how many of those its system has acknowledged, and
why it is over. Ctrl-C ends what is running, and sums up.";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) target: String,
    pub(crate) half_close: HalfClose,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) trace: bool,
}

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let (mut listen, mut target) = (None, None);
        let mut half_close = HalfClose::Close;
        let mut metrics = None;
        let mut trace = false;
        while let Some(arg) = args.next()? {
            match arg {
                Value(address) if listen.is_none() => listen = Some(address.parse()?),
                Value(address) if target.is_none() => target = Some(address.string()?),
                Long("half-close") => half_close = HalfClose::Allow,
                Long("metrics") if cfg!(not(feature = "metrics")) => {
                    return Err("--metrics needs a build with `--features metrics`".into());
                }
                Long("metrics") => metrics = Some(args.value()?.parse()?),
                Long("trace") if cfg!(not(feature = "tracing")) => {
                    return Err("--trace needs a build with `--features tracing`".into());
                }
                Long("trace") => trace = true,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Some(Self {
            listen: listen.ok_or("LISTEN is missing")?,
            target: target.ok_or("TARGET is missing")?,
            half_close,
            metrics,
            trace,
        }))
    }
}
