//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Sends lines over HTTPS, without an end, until the client leaves; tells how it left.

Usage: tls_server [OPTIONS]

Options:
  --listen ADDR   where to listen [default: 127.0.0.1:0, a free port]
  --every MS      send one line every MS milliseconds [default: 1000; 0: as fast as the client reads]
  --handshake SECONDS
                  how long a handshake may take [default: 10]
  --handshakes N  how many handshakes may be under way at a time [default: 1024]
  --clients N     end after N clients [default: go on for ever]
  -h, --help      print this help

The certificate is made at the start, signed by nobody, and valid for localhost and 127.0.0.1.

Prints one line when a client's handshake is done, and one when it is over: who it was, how many bytes of
the answer TLS accepted, and why the stream is over:

  closed by peer       close_notify, then FIN: the orderly end
  truncated            FIN without close_notify: the client was killed
  reset by peer        killed with bytes of ours unread
  TLS alert from peer  the client refused the certificate, or could not read a record
  TLS failed           the client did not speak TLS
  timed out            no handshake in time

A handshake that comes to nothing has one line, with the error.";

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) every: Duration,
    pub(crate) handshake: Duration,
    pub(crate) handshakes: usize,
    pub(crate) clients: u64,
}

impl Options {
    /// The command line; `None` if it asks for help.
    pub(crate) fn parse(mut args: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            every: Duration::from_secs(1),
            handshake: Duration::from_secs(10),
            handshakes: 1024,
            clients: u64::MAX,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Long("listen") => options.listen = args.value()?.parse()?,
                Long("every") => options.every = Duration::from_millis(args.value()?.parse()?),
                Long("handshake") => {
                    options.handshake = Duration::from_secs(args.value()?.parse()?)
                }
                Long("handshakes") => options.handshakes = args.value()?.parse()?,
                Long("clients") => options.clients = args.value()?.parse()?,
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        if options.handshake.is_zero() {
            return Err("--handshake: at least a second".into());
        }
        if options.handshakes == 0 {
            return Err("--handshakes: at least one".into());
        }
        Ok(Some(options))
    }
}
