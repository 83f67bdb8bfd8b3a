//! A disk of 6 MiB.

use super::directory::Directory;
use std::path::PathBuf;

/// A small tmpfs, in a mount namespace of this thread and those that it starts.
fn mount_small(directory: &std::path::Path) -> Result<(), String> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("unshare: {error}"))?;
    mount(none, "/", none, private, none).map_err(|error| format!("private: {error}"))?;
    let tmpfs = Some("tmpfs");
    mount(tmpfs, directory, tmpfs, MsFlags::empty(), Some("size=6m"))
        .map_err(|error| format!("tmpfs: {error}"))
}

/// Runs `test` in a directory on a small disk.
pub(crate) fn on_small_disk(name: &str, test: impl FnOnce(PathBuf) + Send + 'static) {
    let directory = Directory::new(name);
    let path = directory.0.clone();
    // A thread of its own, so that the namespace ends with it.
    let thread = std::thread::spawn(move || match mount_small(&path) {
        Err(why) => println!("skipped: no mount namespaces here: {why}"),
        Ok(()) => test(path),
    });
    thread.join().unwrap();
}
