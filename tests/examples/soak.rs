//! `soak`, for some seconds: `CONTRIBUTING.md` has the command for longer runs.

use crate::process::{Example, binary};
use std::process::Command;

#[cfg(target_os = "linux")]
#[test]
fn some_thousand_streams_of_all_kinds() {
    let mut command = Command::new(binary("soak"));
    command.args(["--minutes", "0.05", "--at-once", "8"]);
    let (status, lines) = Example::start(&mut command).end();
    assert!(status.success(), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(last.ends_with("seed 1: no breach"), "{lines:#?}");
}
