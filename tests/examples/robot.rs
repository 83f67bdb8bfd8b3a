//! `robot` loses no event.

use crate::process::{Example, binary, explains, number, refuses};
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
    // Of this seed many cuts come in the middle of a message: some event has to be sent again.
    robot.args(["--messages", "3000", "--seconds", "3", "--cuts", "10"]);
    robot.args(["--seed", "2"]);
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
    explains("robot", "--confirm <HOW>");
    for (arguments, why) in [
        (&["--messages", "9"][..], "9 is not in 10..=1000000000"),
        (&["--seconds", "0"], "0 is not in 1..=3600"),
        (&["--confirm", "maybe"], "invalid value 'maybe'"),
        (&["--cuts"], "a value is required for '--cuts <N>'"),
        (&["there"], "unexpected argument 'there'"),
    ] {
        refuses("robot", arguments, why);
    }
}
