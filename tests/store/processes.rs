//! Several processes and one file: one that is killed while it compacts the file, and one that holds the lock.
//!
//! The other process is this test program once more.
#![cfg(unix)]

use super::directory::Directory;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, StorageBackend, Store, StoreOptions, StoreProblem};
use nix::sys::signal::{Signal, raise};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const COMPACTS: &str = "HANGUP_COMPACTS";
const HOLDS: &str = "HANGUP_HOLDS";

/// This test program as another process, which runs one test.
fn other(test: &str, variable: &str, value: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(variable, value)
        .stdout(Stdio::piped());
    command
}

fn message(number: u64) -> Bytes {
    Bytes::from(vec![number as u8; 500 + (number as usize * 7919) % 1000])
}

const MESSAGES: u64 = 1000;

/// What stays when the file is compacted: messages on many pages.
fn kept() -> Vec<(u64, Bytes)> {
    let numbers = (0..MESSAGES).step_by(25);
    numbers.map(|number| (number, message(number))).collect()
}

/// A file whose process dies at a call that changes it, when half of a write is made.
#[derive(Debug)]
struct Dying {
    file: File,
    calls_left: Arc<AtomicUsize>,
}

impl Dying {
    fn is_last_call(&self) -> bool {
        self.calls_left.fetch_sub(1, Ordering::Relaxed) == 0
    }
}

impl StorageBackend for Dying {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_last_call() {
            self.file.write_all_at(&data[..data.len() / 2], offset)?;
            raise(Signal::SIGKILL).unwrap();
        }
        self.file.write_all_at(data, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        if self.is_last_call() {
            raise(Signal::SIGKILL).unwrap();
        }
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        if self.is_last_call() {
            raise(Signal::SIGKILL).unwrap();
        }
        self.file.sync_data()
    }
}

/// The other side of the next test. As a test of its own it has nothing to do.
#[test]
fn compacts() {
    let Ok(told) = std::env::var(COMPACTS) else {
        return;
    };
    let (calls, path) = told.split_once(' ').unwrap();
    let calls_left = Arc::new(AtomicUsize::new(usize::MAX));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true);
    let backend = Dying {
        file: file.open(path).unwrap(),
        calls_left: calls_left.clone(),
    };
    let options = StoreOptions::new().fsync(Fsync::Never);
    let mut store = options.open_backend(backend).unwrap();
    for start in (0..MESSAGES).step_by(50) {
        let batch = (start..start + 50).map(|number| (number, message(number)));
        store.append(&batch.collect::<Vec<_>>()).unwrap();
    }
    let removed = (0..MESSAGES).filter(|number| number % 25 != 0);
    store.remove(&removed.collect::<Vec<_>>()).unwrap();
    calls_left.store(calls.parse().unwrap(), Ordering::Relaxed);
    store.compact().unwrap();
}

#[test]
fn a_process_that_is_killed_while_it_compacts_loses_nothing() {
    let directory = Directory::new("killed-compaction");
    let path = directory.file();
    let compact = |calls: usize| {
        let _ = std::fs::remove_file(&path);
        let told = format!("{calls} {}", path.display());
        let killed = other("processes::compacts", COMPACTS, &told)
            .output()
            .unwrap();
        let is_whole = killed.status.success();
        assert!(is_whole || killed.status.signal() == Some(9), "{killed:?}");
        let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
        assert_eq!(store.recover().unwrap(), kept(), "killed at call {calls}");
        assert_eq!(store.next_number().unwrap(), MESSAGES);
        store.append(&[(MESSAGES, Bytes::from("after"))]).unwrap();
        store.compact().unwrap();
        assert_eq!(store.recover().unwrap().len(), kept().len() + 1);
        is_whole
    };
    // Every call is a process of its own: `HANGUP_KILLS` runs them all.
    let step = std::env::var("HANGUP_KILLS").map_or(13, |_| 1);
    let calls = (0..).step_by(step).find(|&calls| compact(calls)).unwrap();
    println!("a compaction makes fewer than {calls} calls");
    assert!(calls > 13, "{calls}");
}

/// The other side of the next test. As a test of its own it has nothing to do.
#[test]
fn holds() {
    let Some(path) = std::env::var_os(HOLDS) else {
        return;
    };
    let mut store = DiskStore::open(Path::new(&path), Fsync::Each).unwrap();
    store.append(&[(0, message(0)), (1, message(1))]).unwrap();
    store.remove(&[0]).unwrap();
    store.append(&[(2, message(2))]).unwrap();
    println!("\nheld");
    // Until it is killed.
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_killed_process_frees_its_file() {
    let directory = Directory::new("two-processes");
    let path = directory.file();
    let mut command = other("processes::holds", HOLDS, path.to_str().unwrap());
    let mut first = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    for read_only in [false, true] {
        let options = StoreOptions::new().read_only(read_only);
        let error = options.open(&path).unwrap_err();
        assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    }
    first.kill().unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    let mut second = DiskStore::open(&path, Fsync::Each).unwrap();
    assert_eq!(
        second.recover().unwrap(),
        [(1, message(1)), (2, message(2))]
    );
    second.append(&[(3, message(3))]).unwrap();
}
