//! Reads a log from standard input and says which error each line reports and what to do about it.
//!
//! ```text
//! $ printf 'ConnectionResetError: [Errno 104] Connection reset by peer\nhello\n' | classify_log
//! [disconnected, ECONNRESET: send again on a new connection] ConnectionResetError: [Errno 104] …
//! [?] hello
//! $ tail -f app.log | classify_log --json
//! $ classify_log --summary < app.log
//! ```

mod output;
mod reading;
mod summary;

use clap::Parser;
use hangup::errors::Platform;
use output::{Format, Output};
use reading::Reader;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::process::ExitCode;

/// A line is read so far, and the rest of it passes unread: a log may have no line feed at all.
const LONGEST: u64 = 1 << 20;

/// Says which error each line of a log reports, and what to do about it.
///
/// Reads standard input to its end, or follows it: `tail -f app.log | classify_log`. Lines that report no
/// known error are marked with `?`. Known are the messages of Rust, Python, Go, Java, .NET, Node, curl,
/// nginx, Envoy, HAProxy, PostgreSQL, MySQL, Kafka, OpenSSH, OpenSSL, Windows and others, the names of
/// errors (ECONNRESET, WSAECONNRESET, EAI_AGAIN), and their numbers (errno 104, WinError 10054).
#[derive(Debug, Parser)]
struct Options {
    /// The platform that the error numbers of the log belong to: linux, macos, freebsd, dragonfly, netbsd, openbsd
    /// or windows. By default it is the one that this program runs on
    #[arg(long)]
    platform: Option<Platform>,

    /// Print a JSON object for each line
    #[arg(long, conflicts_with = "summary")]
    json: bool,

    /// Print only a table of the classes, with a count and an example of each, at the end or on Ctrl-C
    #[arg(long)]
    summary: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(platform) = options.platform.or(Platform::current()) else {
        let message = "the error numbers of this platform are unknown: name one with --platform";
        return complain(message, ExitCode::from(2));
    };
    let format = match (options.json, options.summary) {
        (true, _) => Format::Json,
        (_, true) => Format::Summary,
        _ => Format::Text,
    };
    let log = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let (lines, end) = match Output::new(format) {
        Ok(output) => follow(log, output, platform),
        Err(error) => (0, Err(error)),
    };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            let message = format!("the reader of the output has gone away, after {lines} lines");
            complain(&message, ExitCode::SUCCESS)
        }
        Err(error) => complain(&error.to_string(), ExitCode::FAILURE),
    }
}

/// Writes to standard error, which may be closed too.
fn complain(message: &str, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "classify_log: {message}");
    code
}

/// Reads `log` to its end. Returns how many lines were written, and how it ended.
fn follow<R: Read>(
    mut log: BufReader<R>,
    mut output: Output,
    platform: Platform,
) -> (u64, io::Result<()>) {
    let reader = Reader::new();
    let mut lines = 0;
    let mut line = Vec::new();
    let mut step = || {
        line.clear();
        if log.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        if lines == 0 && (line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff")) {
            let message = "the log is UTF-16: convert it first, as by `iconv -f UTF-16 -t UTF-8`";
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        let finding = reader.read(&String::from_utf8_lossy(&line), platform);
        output.line(finding, &line)?;
        while !line.ends_with(b"\n") {
            line.clear();
            if log.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            output.rest(&line)?;
        }
        output.end_of_line()?;
        lines += 1;
        // A log that is followed pauses: its last line must not stay in our buffer.
        if log.buffer().is_empty() {
            output.flush()?;
        }
        Ok(true)
    };
    let end = loop {
        match step() {
            Ok(true) => {}
            Ok(false) => break output.finish(),
            Err(error) => break Err(error),
        }
    };
    (lines, end)
}
