//! Inspects and repairs the store of a durable outbox while no program has it open.

mod commands;

use clap::{Parser, Subcommand};
use commands::Result;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Inspects and repairs the store of a durable hangup outbox."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints counts and sizes.
    Info {
        /// The file of the store.
        file: PathBuf,
    },
    /// Prints a line for each message: its number, its size in bytes, and its first bytes.
    List {
        /// The file of the store.
        file: PathBuf,
        /// Begin with the message of this number, or the next one after it.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Print at most this many messages. By default all are printed.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Writes one message to the standard output, byte for byte.
    Show {
        /// The file of the store.
        file: PathBuf,
        /// The number of the message, or of the dead letter.
        number: u64,
    },
    /// Prints a line for each message that cannot be delivered: its number, its size in bytes, and the reason.
    DeadLetters {
        /// The file of the store.
        file: PathBuf,
    },
    /// Writes each message into a file of its own, `NUMBER.message`, and each dead letter into `NUMBER.dead-letter`.
    Export {
        /// The file of the store.
        file: PathBuf,
        /// A new directory, or an empty one.
        directory: PathBuf,
    },
    /// Copies the intact messages of a damaged file into a new file, and keeps the damaged file under another name.
    Salvage {
        /// The file of the store.
        file: PathBuf,
    },
    /// Returns unused disk space to the file system.
    Compact {
        /// The file of the store.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done: Result<()> = match Arguments::parse().command {
        Command::Info { file } => commands::info(&file, &mut out),
        Command::List { file, from, limit } => {
            commands::list(&file, from, limit.unwrap_or(usize::MAX), &mut out)
        }
        Command::Show { file, number } => commands::show(&file, number, &mut out),
        Command::DeadLetters { file } => commands::dead_letters(&file, &mut out),
        Command::Export { file, directory } => commands::export(&file, &directory, &mut out),
        Command::Salvage { file } => commands::salvage(&file, &mut out),
        Command::Compact { file } => commands::compact(&file, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed it, as `head` does.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed or full too.
            let _ = writeln!(io::stderr(), "hangup-store: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
