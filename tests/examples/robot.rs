//! `robot` loses no event.

use crate::process::{Example, binary, number};
use std::process::Command;

/// The cells of the row of this name.
fn row(lines: &[String], name: &str) -> Vec<String> {
    let row = lines.iter().find_map(|line| line.strip_prefix(name));
    let row = row.unwrap_or_else(|| panic!("no row {name:?} in {lines:#?}"));
    row.split_whitespace().map(str::to_owned).collect()
}

fn cuts(lines: &[String]) -> u64 {
    let line = lines.iter().find(|line| line.starts_with("The link was"));
    number(line.unwrap(), " times")
}

#[test]
fn no_event_is_lost() {
    let mut robot = Command::new(binary("robot"));
    robot.args(["--messages", "3000", "--seconds", "3", "--cuts", "10"]);
    let mut example = Example::start(&mut robot);
    example.line("connected; ");
    example.line("retrying: attempt 1 in ");
    let (status, lines) = example.end();
    assert!(status.success(), "{lines:#?}");
    let header = ["sent", "delivered", "resent", "dropped", "lost"];
    assert_eq!(row(&lines, "      "), header, "{lines:#?}");
    let events = row(&lines, "important events");
    assert_eq!(events[..2], ["300", "300"], "{lines:#?}");
    assert_ne!(events[2], "0", "{lines:#?}");
    assert_eq!(events[3..], ["0", "0"], "{lines:#?}");
    assert_eq!(row(&lines, "telemetry")[0], "2,700");
    assert!((5..=10).contains(&cuts(&lines)), "{lines:#?}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_event_is_lost_where_tcp_confirms() {
    let mut robot = Command::new(binary("robot"));
    robot.args(["--messages", "3000", "--seconds", "3", "--cuts", "10"]);
    let (status, lines) = Example::start(robot.args(["--confirm", "acknowledged"])).end();
    assert!(status.success(), "{lines:#?}");
    let events = row(&lines, "important events");
    assert_eq!(events[..2], ["300", "300"], "{lines:#?}");
    assert_eq!(events[3..], ["0", "0"], "{lines:#?}");
    assert!(cuts(&lines) > 0, "{lines:#?}");
}

/// It sends no more, delivers what it has, and tells the summary of that.
#[test]
fn an_interrupt_ends_it_cleanly() {
    let mut example = Example::start(Command::new(binary("robot")).args(["--seconds", "3600"]));
    example.line("connected; ");
    example.interrupt();
    let (status, lines) = example.end();
    assert!(status.success(), "{lines:#?}");
    let events = row(&lines, "important events");
    assert_ne!(events[0], "200", "{lines:#?}");
    assert_eq!(events[0], events[1], "{lines:#?}");
    assert_eq!(events[4], "0", "{lines:#?}");
}

#[test]
fn a_wrong_command_line_is_told() {
    for (arguments, told) in [
        (&["--messages", "9"][..], "--messages N is not 10 to"),
        (&["--seconds", "0"], "--seconds S is not 1 to 3600"),
        (
            &["--confirm", "maybe"],
            "it is \"peer\" or \"acknowledged\"",
        ),
        (&["--cuts"], "missing argument for option '--cuts'"),
        (&["there"], "unexpected argument \"there\""),
    ] {
        let (status, lines) = Example::start(Command::new(binary("robot")).args(arguments)).end();
        assert_eq!(status.code(), Some(2), "{lines:#?}");
        assert!(lines[0].contains(told), "{lines:#?}");
        assert_eq!(lines[1], "Try `robot --help`.");
    }
    let (status, lines) = Example::start(Command::new(binary("robot")).arg("--help")).end();
    assert!(status.success());
    assert!(lines.iter().any(|line| line.starts_with("Usage: robot ")));
}
