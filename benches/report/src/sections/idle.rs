//! What an idle watched connection costs, measured by the program `idle` in two builds.

use crate::Result;
use crate::crowd::{self, limit};
use crate::section::Measured;
use std::collections::BTreeMap;
use std::io;
use std::process::Command;

const COUNTS: [usize; 3] = [1_000, 10_000, 60_000];

pub(crate) fn measure() -> Result<Measured> {
    crowd::raise_limit();
    let most = limit();
    let counts: Vec<usize> = COUNTS.into_iter().map(|count| count.min(most)).collect();
    let mut measured = Measured::default();
    measured.paragraph(
        "What `MonitoredStream::new` and one `Monitor` take for a connection that is idle, beside the bare tokio stream. The\n\
         kernel's memory is that of a control group, with the slack of the kernel's allocator and what the\n\
         connections themselves still take, and is only a bound from above. A timer of a connection would wake the runtime on a day of its paused clock.",
    );
    if most < COUNTS[COUNTS.len() - 1] {
        measured.paragraph(format_args!(
            "This machine gives a process {} descriptors, so that 60 000 connections could not be measured, and {most} stand in\n\
             their place.",
            most + crowd::RESERVE
        ));
    }
    let mut rows = Vec::new();
    for (features, arguments) in [
        ("default", &["--no-default-features"][..]),
        ("serve, ring, durable", &[]),
    ] {
        let lines = run(arguments, &counts)?;
        for (number, count) in counts.iter().enumerate() {
            let value = |name: &str| lines.get(&(name.to_owned(), *count)).cloned();
            let text = |name| value(name).unwrap_or_else(|| "not measured".to_owned());
            if arguments.len() == 1 {
                let figures = [
                    ("heap", "heap"),
                    ("kernel", "kernel"),
                    ("tasks", "tasks"),
                    ("descriptors", "descriptors"),
                    ("wakeups", "wakeups"),
                ];
                for (name, figure) in figures {
                    let Some(value) = value(name) else { continue };
                    match number {
                        0 => measured.figure(figure, value),
                        2 => measured.figure(format!("{figure}.most"), value),
                        _ => {}
                    }
                }
            }
            rows.push([
                features.to_owned(),
                count.to_string(),
                text("heap"),
                text("kernel"),
                text("tasks"),
                text("descriptors"),
                text("wakeups"),
            ]);
        }
    }
    measured.table(
        [
            "features",
            "connections",
            "heap, bytes each",
            "kernel, bytes each",
            "tasks, all",
            "descriptors, all",
            "wake-ups, all",
        ],
        rows,
    );
    let stream = size_of::<hangup::MonitoredStream<tokio::net::TcpStream>>();
    let place = stream - size_of::<tokio::net::TcpStream>();
    measured.figure("place", place);
    measured.paragraph(format_args!(
        "In place a `MonitoredStream` takes {place} bytes beside its `TcpStream`, and a `Monitor` {}.",
        size_of::<hangup::Monitor>()
    ));
    Ok(measured)
}

/// The lines that the program prints: name and number of connections, and the value.
fn run(arguments: &[&str], counts: &[usize]) -> Result<BTreeMap<(String, usize), String>> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--locked", "--quiet", "--bin", "idle"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .args(arguments)
        .arg("--")
        .args(counts.iter().map(usize::to_string))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(io::Error::other(format!("idle: {}: {text}", output.status)).into());
    }
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        if let (Some(name), Some(count), Some(value)) = (words.next(), words.next(), words.next()) {
            lines.insert((name.to_owned(), count.parse()?), value.to_owned());
        }
    }
    Ok(lines)
}
