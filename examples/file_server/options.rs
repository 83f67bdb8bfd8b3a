//! The command line.

use crate::dashboard::access::Access;
use hangup::StallPolicy;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Serves a directory over HTTP/1.1, and stops reading a file at once when its client leaves.

Usage: file_server --root DIR [--listen ADDR] [--stall BYTES/SECONDS] [--silent-death SECONDS]
                   [--dashboard[=any]]

Options:
  --root DIR      the directory to serve; nothing outside of it is, not even by a symbolic link
  --listen ADDR   where to listen [default: 127.0.0.1:8080; port 0 takes a free one]
  --stall BYTES/SECONDS
                  reset a client that takes fewer bytes than this in that time while there is more for
                  it [default: 65536/60; \"off\" lets it block its download for ever]
  --silent-death SECONDS
                  find out within this time (4 to 86400) that a client has vanished without a word; a
                  client that reads nothing for three quarters of it is ended too, so 600 is none too
                  many [default: never]
  --dashboard     show the connections, how far their downloads are, and why they ended, on a page at
                  /_hangup, to browsers on this host; --dashboard=any shows it to all. Built with the
                  feature \"metrics\", it has the counters for Prometheus at /_hangup/metrics
  -h, --help      print this help

GET and HEAD, ranges, conditional requests, content types, index.html, and a listing for a directory
without one. Files that are neither a file nor a directory (sockets, pipes, devices) are not found.

Standard output gets one line a response: the client, the request, the status, how many bytes of the
body the kernel accepted of how many (accepted is not delivered: the last of them may have been in
the socket's buffer), and \"complete\" or the reason why the stream is over and how many bytes the
client's system had acknowledged by then. If the client hung up:
how long after that the reading stopped, how many bytes were read in that time, and how many in all.

If standard error is a terminal, it shows a progress bar for each download.

Ctrl-C drains: no new connections, running downloads go on. A second Ctrl-C ends those too. The exit
status is 0 both times.";

pub(crate) struct Options {
    pub(crate) root: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) stall: Option<StallPolicy>,
    pub(crate) dead_peer_timeout: Option<Duration>,
    /// Who may see the dashboard; `None` if there is none.
    pub(crate) dashboard: Option<Access>,
}

/// What [`MonitorConfig::dead_peer_timeout`](hangup::MonitorConfig::dead_peer_timeout) takes, in seconds.
const SILENT_DEATH: RangeInclusive<u64> = 4..=86_400;

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut root = None;
        let mut listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mut stall = Some(StallPolicy::new(65536, Duration::from_secs(60)));
        let mut dead_peer_timeout = None;
        let mut dashboard = None;
        while let Some(arg) = args.next()? {
            match arg {
                Long("root") => root = Some(PathBuf::from(args.value()?)),
                Long("listen") => listen = args.value()?.parse()?,
                Long("stall") => stall = args.value()?.parse_with(parse_stall)?,
                Long("silent-death") => {
                    let seconds = args.value()?.parse()?;
                    if !SILENT_DEATH.contains(&seconds) {
                        return Err("--silent-death SECONDS is not 4 to 86400".into());
                    }
                    dead_peer_timeout = Some(Duration::from_secs(seconds));
                }
                Long("dashboard") => {
                    dashboard = Some(match args.optional_value() {
                        None => Access::ThisHost,
                        Some(whom) if whom == "any" => Access::Anybody,
                        Some(_) => {
                            return Err(
                                "--dashboard is for this host, --dashboard=any for all".into()
                            );
                        }
                    });
                }
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        let root = root.ok_or("--root DIR is missing")?;
        Ok(Some(Self {
            root,
            listen,
            dead_peer_timeout,
            stall,
            dashboard,
        }))
    }
}

/// BYTES/SECONDS, or "off".
fn parse_stall(text: &str) -> Result<Option<StallPolicy>, String> {
    if text == "off" {
        return Ok(None);
    }
    let parsed = text.split_once('/').and_then(|(bytes, seconds)| {
        let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some((bytes.parse().ok()?, seconds))
    });
    match parsed {
        Some((bytes, seconds)) if bytes > 0 && !seconds.is_zero() => {
            Ok(Some(StallPolicy::new(bytes, seconds)))
        }
        _ => Err("it is BYTES/SECONDS, say 65536/60, or \"off\"".to_owned()),
    }
}
