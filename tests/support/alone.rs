//! Tests of what a whole process has: they need one of their own.

use std::process::Command;

/// Whether this is the process that runs the test `name` and no other. If it is not, such a process is
/// run, and must succeed.
pub(crate) fn alone(name: &str) -> bool {
    const ALONE: &str = "HANGUP_TEST_ALONE";
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, name)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    for line in output.lines().filter(|line| line.starts_with("skipped")) {
        println!("{line}");
    }
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{output}\n{errors}");
    assert!(output.contains("test result: ok. 1 passed"), "{output}");
    false
}
