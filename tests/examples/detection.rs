//! `detection` prints its table.

use crate::process::{Example, binary};
use std::process::Command;

/// The columns of the table, in characters.
const NAME: usize = 34;
const CELL: usize = 22;

#[test]
fn hangup_never_says_never() {
    let example = Example::start(Command::new(binary("detection")).args(["--limit", "3"]));
    let (status, lines) = example.end();
    assert!(status.success());

    let row = |name: &str| {
        let at = lines.iter().position(|line| line.starts_with(name));
        let at = at.unwrap_or_else(|| panic!("no row {name:?} in {lines:#?}"));
        let cell = |line: &str, column: usize| {
            let cell: String = line.chars().skip(NAME + column * CELL).take(CELL).collect();
            cell.trim_end().to_owned()
        };
        let told = lines.get(at + 1).map_or("", |line| line.as_str());
        [0, 1, 2].map(|column| (cell(&lines[at], column), cell(told, column)))
    };
    let (naive, read_loop, hangup) = (0, 1, 2);
    assert_eq!(row("way of leaving")[hangup].0, "hangup");

    for (name, reason) in [
        ("FIN, handler idle", "closed by peer"),
        ("RST, handler idle", "reset by peer"),
        ("FIN behind a pipelined request", "closed by peer"),
        ("FIN behind an unread 100 kB body", "closed by peer"),
        ("FIN, one event a second", "closed by peer"),
        ("FIN under bulk writing", "closed by peer"),
        ("alive, but not reading", "peer stalled"),
    ] {
        let cells = row(name);
        assert!(cells[hangup].0.contains(" ms, "), "{lines:#?}");
        assert_eq!(cells[hangup].1, reason, "{lines:#?}");
    }
    for name in ["FIN, handler idle", "RST, handler idle"] {
        assert_eq!(row(name)[naive].0, "never, 0 B", "{lines:#?}");
        assert!(row(name)[read_loop].0.contains(" ms, "), "{lines:#?}");
    }
    for name in [
        "FIN behind a pipelined request",
        "FIN behind an unread 100 kB body",
    ] {
        assert_eq!(row(name)[naive].0, "never, 0 B", "{lines:#?}");
        assert_eq!(row(name)[read_loop].0, "never, 0 B", "{lines:#?}");
    }
    for server in [naive, read_loop] {
        let cell = &row("alive, but not reading")[server].0;
        assert!(cell.starts_with("never, "), "{lines:#?}");
    }
}
