//! Reads a log from standard input and says of each line which error it tells of and what to do.
//!
//! ```text
//! $ printf 'ConnectionResetError: [Errno 104] Connection reset by peer\nhello\n' | classify_log
//! [disconnected, ECONNRESET: send again on a new connection] ConnectionResetError: [Errno 104] …
//! [?] hello
//! ```
//!
//! Known are Python's tracebacks, Rust's and Go's messages, names (`ECONNRESET`, `WSAECONNRESET`,
//! `EAI_AGAIN`) and numbers (`errno 104`, `os error 104`, `WinError 10054`, or a number alone). A number is
//! read as that of `--platform` (linux, macos, freebsd, dragonfly, netbsd, openbsd, windows), by default
//! this one. What is unknown passes through behind `[?]`.

mod line;

use hangup::errors::Platform;
use lexopt::prelude::*;
use std::error::Error;
use std::io::{self, BufRead, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

const USAGE: &str =
    "usage: classify_log [--platform linux|macos|freebsd|dragonfly|netbsd|openbsd|windows] < log";

fn main() -> ExitCode {
    let platform = match platform(lexopt::Parser::from_env()) {
        Ok(Some(platform)) => platform,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("classify_log: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match classify(
        io::stdin().lock(),
        BufWriter::new(io::stdout().lock()),
        platform,
    ) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classify_log: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whose numbers to read; `None` if only help was asked for.
fn platform(mut arguments: lexopt::Parser) -> Result<Option<Platform>, Box<dyn Error>> {
    let mut platform = Platform::current();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("platform") => platform = Some(arguments.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            argument => return Err(argument.unexpected().into()),
        }
    }
    match platform {
        Some(platform) => Ok(Some(platform)),
        None => Err("this platform's numbers are unknown: name one with --platform".into()),
    }
}

fn classify(mut log: impl BufRead, mut out: impl Write, platform: Platform) -> io::Result<()> {
    let mut bytes = Vec::new();
    while log.read_until(b'\n', &mut bytes)? > 0 {
        // A log may have anything in it; the line passes through as it came.
        let text = String::from_utf8_lossy(&bytes);
        match line::read(&text, platform) {
            Some(finding) => write!(out, "[{finding}] ")?,
            None => out.write_all(b"[?] ")?,
        }
        out.write_all(&bytes)?;
        if !bytes.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
        // A log that is being followed has pauses: its last line must not wait in our buffer.
        out.flush()?;
        bytes.clear();
    }
    Ok(())
}
