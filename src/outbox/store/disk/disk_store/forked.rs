//! What a forked child does to the file of its parent.

use super::*;
use crate::outbox::store::contract::Store;
use crate::outbox::store::disk::counts::Counts;
use crate::outbox::store::disk::file::LockedFile;
use bytes::Bytes;
use std::fs;

/// A child that dropped its copy of the store wrote what it knew into the file: that could not be opened any more.
#[test]
fn a_forked_child_that_drops_its_copy_changes_nothing() {
    let directory = std::env::temp_dir().join(format!("hangup-forked-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("outbox");
    for is_forked in [false, true] {
        let (locked, temporary) = LockedFile::create(&path, 0o600).unwrap();
        temporary.replace(&path).unwrap();
        let file = match StoreFile::new(locked, Fsync::Each) {
            file if is_forked => file.forked(),
            file => file,
        };
        let opened = Opened::create(Arc::new(file), Counts::default()).unwrap();
        let mut store = DiskStore::new(&path, StoreOptions::new(), opened);
        store.append(&[(0, Bytes::from("door opened"))]).unwrap();
        store.remove(&[0]).unwrap();
        let before = fs::read(&path).unwrap();
        drop(store);
        assert_eq!(fs::read(&path).unwrap() == before, is_forked);
    }
    fs::remove_dir_all(directory).unwrap();
}
