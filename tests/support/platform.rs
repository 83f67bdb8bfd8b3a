//! What the platform under test does not do. A test that needs it says so by name, and is skipped there.

/// One row for each promise that some platform does not keep. `docs/platforms.md` is made from it.
const PROMISES: &str = include_str!("../data/platforms.tsv");

/// The error of a read after a reset.
pub(crate) const CONNECTION_RESET: i32 = if cfg!(windows) {
    10_054 // WSAECONNRESET
} else {
    libc::ECONNRESET
};

/// The error of a write after our own shutdown.
pub(crate) const BROKEN_PIPE: i32 = if cfg!(windows) {
    10_058 // WSAESHUTDOWN
} else {
    libc::EPIPE
};

/// The column of the platform under test.
fn mechanism() -> &'static str {
    if cfg!(hangup_fallback) {
        "tick"
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        "epoll"
    } else if cfg!(windows) {
        // `ci/wine.sh` sets it.
        match std::env::var_os("HANGUP_WINE") {
            Some(_) => "wine",
            None => "afd",
        }
    } else if cfg!(all(
        any(
            target_vendor = "apple",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
        ),
        target_pointer_width = "64",
    )) {
        "kqueue"
    } else {
        "tick"
    }
}

/// Whether the platform does not keep a promise of the table. Then the test is skipped, and it is printed why.
pub(crate) fn lacks(promise: &str, test: &str) -> bool {
    let mut lines = PROMISES.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = lines.next().unwrap().split('\t').collect();
    let row = lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|row| row[0] == promise)
        .unwrap_or_else(|| panic!("tests/data/platforms.tsv has no row {promise}"));
    let column = names.iter().position(|name| *name == mechanism()).unwrap();
    match row[column] {
        "yes" => false,
        why => {
            println!("skipped: {test}: {}: {why}", mechanism());
            true
        }
    }
}
