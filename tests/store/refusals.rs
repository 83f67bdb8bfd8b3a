//! What the operating system refuses: a clear error, and nothing lost.

use super::directory::Directory;
use super::small_disk::on_small_disk;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Store, StoreProblem};
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

fn one(number: u64, size: usize) -> [(u64, Bytes); 1] {
    [(number, Bytes::from(vec![number as u8; size]))]
}

/// To forget a message the database writes pages anew. On a disk that the file has filled there were none:
/// nothing could be forgotten any more, and so nothing kept.
#[test]
fn on_a_full_disk_messages_are_forgotten() {
    on_small_disk("forgotten", |directory| {
        for size in [10, 100, 1000, 3000, 5000, 20_000, 60_000] {
            let path = directory.join(size.to_string());
            let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
            let batch = |number| [(number, Bytes::from(vec![number as u8; size]))];
            let mut count = 0;
            // A hundred at a time while there is much room, then one by one.
            for step in [100, 1] {
                let error = loop {
                    let batch: Vec<_> = (count..count + step).flat_map(batch).collect();
                    match store.append(&batch) {
                        Ok(()) => count += step,
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
            }
            // A refused attempt may free a page or two for the next one.
            let mut refused = 0;
            while refused < 3 {
                match store.append(&batch(count)) {
                    Ok(()) => (count, refused) = (count + 1, 0),
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{size}: {error}");
                        refused += 1;
                    }
                }
            }
            fs::write(directory.join("hog"), vec![0; 8 << 20]).unwrap_err();
            // One here, one there: the pages of them all are written anew.
            let scattered: Vec<u64> = (0..count).step_by(9).collect();
            store.remove(&scattered).unwrap();
            for number in 0..count.min(100) {
                store.remove(&[number]).unwrap();
            }
            let kept = count - count.min(50);
            store.remove(&(0..kept).collect::<Vec<_>>()).unwrap();
            store.append(&batch(count)).unwrap();
            drop(store);
            let recovered = DiskStore::open(&path, Fsync::Never).unwrap().recover();
            let numbers = recovered.unwrap().into_iter().map(|(number, _)| number);
            let want = (kept.max(count.min(100))..count).filter(|number| number % 9 != 0);
            assert!(numbers.eq(want.chain([count])), "{size}");
            fs::remove_file(path).unwrap();
            fs::remove_file(directory.join("hog")).unwrap();
        }
    });
}

/// What the log holds has to fit into the tables later: then another program has filled the disk.
#[test]
fn the_messages_of_the_log_have_room_on_a_disk_that_is_full_by_then() {
    on_small_disk("log-room", |directory| {
        for size in [10, 100, 1000, 3000, 5000, 20_000] {
            let path = directory.join(size.to_string());
            let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
            store.append(&one(0, size)).unwrap();
            fs::write(directory.join("hog"), vec![0; 8 << 20]).unwrap_err();
            let mut count = 1;
            while store.append(&one(count, size)).is_ok() {
                count += 1;
            }
            // At least as many as the log holds.
            assert!(count as usize * (size + 60) > 96 * 1024, "{size}: {count}");
            drop(store);
            let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
            assert_eq!(store.recover().unwrap().len() as u64, count);
            store.remove(&[0]).unwrap();
            let half: Vec<u64> = (1..count / 2).collect();
            store.remove(&half).unwrap();
            drop(store);
            let mut store = DiskStore::open(&path, Fsync::Never).unwrap();
            let numbers = store.recover().unwrap().into_iter().map(|row| row.0);
            assert!(numbers.eq((count / 2).max(1)..count), "{size}");
            store.remove(&(0..count).collect::<Vec<_>>()).unwrap();
            store.append(&one(count, size)).unwrap();
            assert_eq!(store.recover().unwrap(), one(count, size));
            fs::remove_file(path).unwrap();
            fs::remove_file(directory.join("hog")).unwrap();
        }
    });
}

/// After a failed write the file was not locked any more: a second process opened it.
#[test]
fn the_lock_outlives_a_failed_write() {
    on_small_disk("locked", |directory| {
        let path = directory.join("outbox");
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        let mut count = 0;
        while store.append(&one(count, 100_000)).is_ok() {
            count += 1;
        }
        for _ in 0..3 {
            let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
            assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
            let error = store.append(&one(count, 100_000)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        }
        drop(store);
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        assert_eq!(store.recover().unwrap().len() as u64, count);
    });
}

#[test]
fn a_read_only_file_system_says_so() {
    on_small_disk("read-only-disk", |directory| {
        let path = directory.join("outbox");
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        store.append(&one(0, 10)).unwrap();
        drop(store);
        let none: Option<&str> = None;
        let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, &directory, none, read_only, none).unwrap();
        for path in [path, directory.join("new")] {
            let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
            assert_eq!(
                io::Error::from(error).kind(),
                io::ErrorKind::ReadOnlyFilesystem
            );
        }
    });
}

#[test]
fn a_disk_without_room_for_a_new_file_keeps_nothing() {
    on_small_disk("no-room", |directory| {
        fs::write(directory.join("hog"), vec![0; 8 << 20]).unwrap_err();
        let path = directory.join("outbox");
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        assert!(matches!(error.problem(), StoreProblem::Full), "{error}");
        let names: Vec<_> = fs::read_dir(&directory).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        fs::remove_file(directory.join("hog")).unwrap();
        // A child that another test starts at this moment has the removed file open until its exec(2).
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = DiskStore::open(&path, Fsync::Each) {
            assert!(matches!(error.problem(), StoreProblem::Full), "{error}");
            assert!(
                Instant::now() < deadline,
                "the room of a removed file: {error}"
            );
            std::thread::yield_now();
        }

        // No inode is left.
        let none: Option<&str> = None;
        mount(
            none,
            &directory,
            none,
            MsFlags::MS_REMOUNT,
            Some("nr_inodes=4"),
        )
        .unwrap();
        let mut files = 0;
        while File::create(directory.join(format!("file {files}"))).is_ok() {
            files += 1;
        }
        let error = DiskStore::open(directory.join("another"), Fsync::Each).unwrap_err();
        assert!(matches!(error.problem(), StoreProblem::Full), "{error}");
        let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
        store.append(&one(0, 10)).unwrap();
    });
}

/// The child's side of the test below. As a test of its own it has nothing to do.
#[test]
fn without_descriptors() {
    let Some(path) = std::env::var_os("HANGUP_WITHOUT_DESCRIPTORS") else {
        return;
    };
    let path = std::path::PathBuf::from(path);
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let next = File::open("/dev/null").unwrap();
    let limit = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
    drop(next);
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
    for path in [path.with_extension("new"), path] {
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        let error = io::Error::from(error);
        assert!(error.to_string().contains("os error 24"), "{error}");
    }
    // A store that is open needs no other.
    store.append(&one(0, 10)).unwrap();
}

#[test]
fn an_open_store_needs_no_more_descriptors() {
    let directory = Directory::new("descriptors");
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "refusals::without_descriptors",
            "--exact",
            "--test-threads=1",
        ])
        .env("HANGUP_WITHOUT_DESCRIPTORS", directory.file())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    let mut store = DiskStore::open(directory.file(), Fsync::Each).unwrap();
    assert_eq!(store.recover().unwrap(), one(0, 10));
}
