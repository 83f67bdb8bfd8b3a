//! The file of a store: who may open it, who may read it, and what happens when it goes away.

use super::directory::Directory;
#[cfg(unix)]
use crate::support::alone;
use bytes::Bytes;
use hangup::outbox::{DiskStore, Fsync, Store, StoreOptions, StoreProblem};
use std::fs;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::symlink;

fn one(number: u64) -> [(u64, Bytes); 1] {
    [(number, Bytes::from(format!("message {number}")))]
}

fn problem(error: io::Error) -> StoreProblem {
    let error = error.downcast::<hangup::outbox::StoreError>().unwrap();
    match error.problem() {
        StoreProblem::Removed => StoreProblem::Removed,
        StoreProblem::ReadOnly => StoreProblem::ReadOnly,
        StoreProblem::NumberTooLarge => StoreProblem::NumberTooLarge,
        _ => panic!("{error}"),
    }
}

/// It was readable by everybody: 0644.
#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;

    let directory = Directory::new("mode");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(DiskStore::open(directory.file(), Fsync::Each).unwrap());
    assert_eq!(mode(directory.file()), 0o600);
    let shared = directory.0.join("shared");
    drop(StoreOptions::new().mode(0o640).open(&shared).unwrap());
    assert_eq!(mode(shared.clone()), 0o640 & !umask());
    // A file that is there keeps its mode.
    drop(DiskStore::open(&shared, Fsync::Each).unwrap());
    assert_eq!(mode(shared), 0o640 & !umask());
}

/// A salvaged or converted file was readable by whoever had run the program, and by nobody else.
#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_its_owner() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let directory = Directory::new("replaced");
    let path = directory.file();
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    store.append(&one(0)).unwrap();
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    // Only the superuser may do so. For others it has their owner.
    let _ = chown(&path, Some(1234), Some(4321));
    let before = fs::metadata(&path).unwrap();
    let mut damaged = fs::read(&path).unwrap();
    damaged[4096..8192].fill(0);
    fs::write(&path, damaged).unwrap();
    drop(DiskStore::salvage(&path, Fsync::Each).unwrap());
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!(
        (before.mode(), before.uid(), before.gid()),
        (after.mode(), after.uid(), after.gid())
    );
}

#[cfg(unix)]
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.map_or(0, |mask| u32::from_str_radix(mask.trim(), 8).unwrap())
}

/// `open("state")` emptied the user's `state.new`.
#[test]
fn its_neighbours_are_left_alone() {
    let directory = Directory::new("neighbours");
    let neighbours = ["outbox.new", "outbox.damaged", "outbox.tmp"];
    for name in neighbours {
        fs::write(directory.0.join(name), "the user's").unwrap();
    }
    let mut store = DiskStore::open(directory.file(), Fsync::Each).unwrap();
    store.append(&one(0)).unwrap();
    drop(store);
    let mut damaged = fs::read(directory.file()).unwrap();
    damaged[4096..8192].fill(0);
    fs::write(directory.file(), damaged).unwrap();
    drop(DiskStore::salvage(directory.file(), Fsync::Each).unwrap());
    for name in neighbours {
        assert_eq!(fs::read(directory.0.join(name)).unwrap(), b"the user's");
    }
    let mut names = vec!["outbox", "outbox.damaged2"];
    names.extend(neighbours);
    names.sort_unstable();
    assert_eq!(directory.names(), names);
}

/// The messages of a removed file were accepted, and gone with the process.
#[cfg(unix)]
#[test]
fn a_file_that_goes_away_is_noticed() {
    let directory = Directory::new("removed");
    let path = directory.file();
    let elsewhere = directory.0.join("elsewhere");
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    store.append(&one(0)).unwrap();

    fs::rename(&path, &elsewhere).unwrap();
    let error = store.append(&one(1)).unwrap_err();
    assert!(
        error.to_string().contains("removed, renamed or replaced"),
        "{error}"
    );
    assert!(matches!(problem(error), StoreProblem::Removed));
    fs::write(&path, "another file").unwrap();
    assert!(matches!(
        problem(store.append(&one(1)).unwrap_err()),
        StoreProblem::Removed
    ));

    // It is put back.
    fs::rename(&elsewhere, &path).unwrap();
    store.append(&one(2)).unwrap();
    drop(store);
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    assert_eq!(store.recover().unwrap(), [one(0), one(2)].concat());

    fs::remove_file(&path).unwrap();
    assert!(matches!(
        problem(store.append(&one(3)).unwrap_err()),
        StoreProblem::Removed
    ));
    // What was delivered can still be removed.
    store.remove(&[0]).unwrap();
}

/// The folder may not be searched any more, as after a daemon has given up its privileges: the file is open and in its place.
/// But a folder that became a file has taken it away.
#[cfg(unix)]
#[test]
fn a_folder_that_is_closed_takes_no_file_away() {
    use std::os::unix::fs::PermissionsExt;

    let directory = Directory::new("closed");
    let folder = directory.0.join("folder");
    fs::create_dir(&folder).unwrap();
    let mut store = DiskStore::open(folder.join("outbox"), Fsync::Each).unwrap();
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(0);
    if fs::metadata(folder.join("outbox")).is_ok() {
        println!("the superuser may search every folder");
    }
    let kept = store.append(&one(0));
    mode(0o700);
    kept.unwrap();
    fs::rename(&folder, directory.0.join("elsewhere")).unwrap();
    fs::write(&folder, "a file").unwrap();
    assert!(matches!(
        problem(store.append(&one(1)).unwrap_err()),
        StoreProblem::Removed
    ));
}

/// A daemon that opened a relative path and then went to `/` was told that its file was removed, for each message.
#[cfg(unix)]
#[test]
fn a_relative_path_outlives_a_change_of_the_working_directory() {
    if !alone("file::a_relative_path_outlives_a_change_of_the_working_directory") {
        return;
    }
    let directory = Directory::new("relative");
    std::env::set_current_dir(&directory.0).unwrap();
    let mut new = DiskStore::open("outbox", Fsync::Each).unwrap();
    let mut opened = DiskStore::open("./second", Fsync::Each).unwrap();
    drop(opened);
    opened = DiskStore::open("./second", Fsync::Each).unwrap();
    std::env::set_current_dir("/").unwrap();
    for store in [&mut new, &mut opened] {
        store.append(&one(0)).unwrap();
    }
    // It is still noticed when the file goes away.
    fs::remove_file(directory.0.join("second")).unwrap();
    assert!(matches!(
        problem(opened.append(&one(1)).unwrap_err()),
        StoreProblem::Removed
    ));
}

#[test]
fn several_may_read_and_nobody_writes_meanwhile() {
    let directory = Directory::new("read-only");
    let path = directory.file();
    let read_only = StoreOptions::new().read_only(true);
    let error = read_only.open(&path).unwrap_err();
    assert!(
        matches!(error.problem(), StoreProblem::Io(error) if error.kind() == io::ErrorKind::NotFound)
    );

    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    store.append(&one(0)).unwrap();
    // As a crash leaves it.
    let crashed = fs::read(&path).unwrap();
    drop(store);
    fs::write(&path, &crashed).unwrap();

    let mut first = read_only.open(&path).unwrap();
    let mut second = read_only.open(&path).unwrap();
    let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    assert_eq!(first.recover().unwrap(), one(0));
    assert_eq!(second.recover().unwrap(), one(0));
    assert!(matches!(
        problem(first.append(&one(1)).unwrap_err()),
        StoreProblem::ReadOnly
    ));
    assert!(matches!(
        problem(first.remove(&[0]).unwrap_err()),
        StoreProblem::ReadOnly
    ));
    drop((first, second));
    assert!(fs::read(&path).unwrap() == crashed, "changed");
    let store = DiskStore::open(&path, Fsync::Each).unwrap();
    let error = read_only.open(&path).unwrap_err();
    assert!(matches!(error.problem(), StoreProblem::InUse), "{error}");
    drop(store);
}

/// A salvaged number of `u64::MAX` made it panic.
#[test]
fn a_number_has_a_bound() {
    let directory = Directory::new("bound");
    let mut store = DiskStore::open(directory.file(), Fsync::Each).unwrap();
    for number in [1 << 60, u64::MAX] {
        let error = store.append(&one(number)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert!(matches!(problem(error), StoreProblem::NumberTooLarge));
    }
    let last = (1 << 60) - 1;
    store.append(&one(last)).unwrap();
    assert_eq!(store.recover().unwrap(), one(last));
    assert_eq!(store.next_number().unwrap(), last + 1);
}

/// The name is not in use, and a new file is not created in the place of the link.
#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_told_as_such() {
    let directory = Directory::new("link-to-nothing");
    let link = directory.0.join("link");
    symlink(directory.0.join("missing"), &link).unwrap();
    let error = DiskStore::open(&link, Fsync::Each).unwrap_err();
    let StoreProblem::Io(cause) = error.problem() else {
        panic!("{error:?}");
    };
    assert_eq!(cause.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

/// The file is where the link points, on another disk perhaps, and stays there.
#[cfg(unix)]
#[test]
fn a_salvage_leaves_a_link_where_it_is() {
    let directory = Directory::new("salvage-link");
    let (link, path) = (directory.0.join("link"), directory.0.join("file"));
    symlink(&path, &link).unwrap();
    let mut store = DiskStore::open(&path, Fsync::Each).unwrap();
    store.append(&one(7)).unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4096].fill(0);
    fs::write(&path, bytes).unwrap();
    let (mut store, _) = DiskStore::salvage(&link, Fsync::Each).unwrap();
    assert_eq!(store.recover().unwrap(), one(7));
    drop(store);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let recovered = DiskStore::open(&path, Fsync::Each).unwrap().recover();
    assert_eq!(recovered.unwrap(), one(7));
}

/// A file shorter than the first page was called no store at all.
#[test]
fn a_store_that_was_cut_off_is_damaged() {
    let directory = Directory::new("cut-off");
    let path = directory.file();
    drop(DiskStore::open(&path, Fsync::Each).unwrap());
    let whole = fs::read(&path).unwrap();
    for length in [16, 512, 4095, 4096, 8192, 9000, 139_264, 139_265] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = DiskStore::open(&path, Fsync::Each).unwrap_err();
        let is_damaged = matches!(error.problem(), StoreProblem::Damaged { whole: 0, .. });
        assert!(is_damaged, "{length}: {error}");
        assert!(fs::read(&path).unwrap() == whole[..length]);
    }
}
