//! `soak`, for some seconds: `CONTRIBUTING.md` has the command for longer runs.
//!
//! It waits for ten seconds and more, so its name is the first: tests begin in the order of their names.

use crate::process::{Example, binary};
use std::process::Command;

#[cfg(target_os = "linux")]
#[test]
fn some_seconds_of_streams_clients_and_outboxes() {
    let mut command = Command::new(binary("soak"));
    command.args(["--minutes", "0.05", "--streams", "16"]);
    command.args(["--clients", "4", "--outboxes", "2"]);
    let (status, lines) = Example::start(&mut command).end();
    assert!(status.success(), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(last.ends_with("seed 1: no breach"), "{lines:#?}");
}
