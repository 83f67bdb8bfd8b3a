//! The command, on stores as a program leaves them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of one test, removed at its end, with a store of five messages and two dead letters.
struct Example(PathBuf);

impl Example {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hangup-store-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let mut store = DiskStore::open(path.join("outbox"), Fsync::Each).unwrap();
        let messages: Vec<_> = (10..17)
            .map(|number| (number, Bytes::from(format!("door {number}\n\u{1b}[31m"))))
            .collect();
        store.append(&messages).unwrap();
        store.bury(12, "refused:\nno such door").unwrap();
        store.bury(13, "not UTF-8").unwrap();
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("outbox")
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        run(command, &self.store(), more)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(command: &str, file: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangup-store"))
        .arg(command)
        .arg(file)
        .args(more)
        .output()
        .unwrap()
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_prints_what_is_there_and_changes_nothing() {
    let example = Example::new("prints");
    let before = fs::read(example.store()).unwrap();
    let info = said(example.run("info", &[]));
    assert!(
        info.starts_with("messages      5\ndead letters  2\nnext number   17\n"),
        "{info}"
    );
    assert_eq!(
        said(example.run("list", &["--from", "11", "--limit", "2"])),
        "11      13  \"door 11\\n\\x1b[31m\"\n14      13  \"door 14\\n\\x1b[31m\"\n"
    );
    assert_eq!(
        said(example.run("dead-letters", &[])),
        "12      13  refused:\\nno such door\n13      13  not UTF-8\n"
    );
    for number in ["10", "12"] {
        let shown = said(example.run("show", &[number]));
        assert_eq!(shown, format!("door {number}\n\u{1b}[31m"));
    }
    let error = refused(example.run("show", &["99"]));
    assert!(error.contains("no message has the number 99"), "{error}");
    assert!(fs::read(example.store()).unwrap() == before);
}

#[test]
fn it_exports_each_message_into_a_file() {
    let example = Example::new("exports");
    let directory = example.0.join("exported");
    let to = directory.to_str().unwrap();
    assert_eq!(
        said(example.run("export", &[to])),
        "5 messages, 2 dead letters\n"
    );
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "10.message",
            "11.message",
            "12.dead-letter",
            "13.dead-letter",
            "14.message",
            "15.message",
            "16.message"
        ]
    );
    assert_eq!(
        fs::read(directory.join("14.message")).unwrap(),
        b"door 14\n\x1b[31m"
    );
    let error = refused(example.run("export", &[to]));
    assert!(error.contains("not empty"), "{error}");
}

/// The error named no path: it may have been that of the store.
#[test]
fn an_export_says_where_it_failed() {
    let example = Example::new("no-directory");
    let file = example.0.join("a-file");
    fs::write(&file, "not a directory").unwrap();
    for to in [file.clone(), file.join("below")] {
        let to = to.to_str().unwrap();
        let error = refused(example.run("export", &[to]));
        assert!(
            error.starts_with(&format!("hangup-store: {to}: ")),
            "{error}"
        );
    }
}

/// The store is its owner's, and its messages were exported for everybody: 0644.
#[cfg(unix)]
#[test]
fn what_it_exports_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;

    let example = Example::new("private");
    let directory = example.0.join("exported");
    said(example.run("export", &[directory.to_str().unwrap()]));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in ["10.message", "12.dead-letter"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_store_in_use_and_a_missing_one_are_refused() {
    let example = Example::new("in-use");
    let store = DiskStore::open(example.store(), Fsync::Each).unwrap();
    for command in ["info", "list", "dead-letters", "salvage", "compact"] {
        let error = refused(example.run(command, &[]));
        assert!(
            error.contains("in use: end the other process"),
            "{command}: {error}"
        );
        let error = refused(run(command, &example.0.join("missing"), &[]));
        assert!(error.contains("missing: "), "{command}: {error}");
    }
    drop(store);
    assert_eq!(fs::read_dir(&example.0).unwrap().count(), 1);
}

/// The message of an error met a full standard error: the program panicked, with the exit status 101.
#[cfg(target_os = "linux")]
#[test]
fn an_error_that_cannot_be_printed_is_status_1() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_hangup-store"))
        .args(["info", "/nonexistent"])
        .stderr(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_damaged_store_is_refused_and_salvaged() {
    let example = Example::new("damaged");
    assert_eq!(
        said(example.run("salvage", &[])),
        "the store is intact: nothing to salvage\n"
    );
    let mut damaged = fs::read(example.store()).unwrap();
    damaged[4096..8192].fill(0);
    fs::write(example.store(), damaged).unwrap();
    let error = refused(example.run("list", &[]));
    assert!(error.contains("7 messages in it are whole"), "{error}");
    assert!(error.contains("hangup-store salvage"), "{error}");
    let salvaged = said(example.run("salvage", &[]));
    assert!(
        salvaged.starts_with("5 messages and 2 dead letters salvaged"),
        "{salvaged}"
    );
    assert_eq!(said(example.run("list", &[])).lines().count(), 5);
}

#[test]
fn it_compacts() {
    let example = Example::new("compacts");
    let mut store = DiskStore::open(example.store(), Fsync::Never).unwrap();
    for number in 20..150 {
        store
            .append(&[(number, Bytes::from(vec![0; 10_000]))])
            .unwrap();
    }
    store.remove(&(20..148).collect::<Vec<_>>()).unwrap();
    // As a crash leaves it: to close the store compacts it too.
    let crashed = fs::read(example.store()).unwrap();
    drop(store);
    fs::write(example.store(), crashed).unwrap();
    let before = fs::metadata(example.store()).unwrap().len();
    let compacted = said(example.run("compact", &[]));
    let after = fs::metadata(example.store()).unwrap().len();
    assert!(after < before / 2, "{compacted}");
    assert_eq!(compacted, format!("{before} bytes before, {after} after\n"));
}
