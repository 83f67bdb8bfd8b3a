//! What the process holds beside memory: descriptors, threads, children. Each has a name, so that a leak can be shown.

/// The descriptors, threads or children at one moment; empty where the system names none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// How many; `None` where the system does not tell.
    pub(crate) count: Option<u64>,
    /// One line for each, in order of its number.
    pub(crate) names: Vec<String>,
}

impl Held {
    /// Numbers and names, in order of the numbers.
    #[cfg(target_os = "linux")]
    fn named(mut items: Vec<(u64, String)>) -> Self {
        items.sort_unstable();
        Self {
            count: Some(items.len() as u64),
            names: items.into_iter().map(|(_, name)| name).collect(),
        }
    }

    /// The lines that `before` has not.
    pub(crate) fn new_since(&self, before: &Self) -> Vec<String> {
        let known: std::collections::BTreeSet<_> = before.names.iter().collect();
        self.names
            .iter()
            .filter(|name| !known.contains(name))
            .cloned()
            .collect()
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use super::Held;
    use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
    use std::ffi::CStr;
    use std::fs;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;

    const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

    /// Calls `found` with each entry of a folder of `/proc` whose name is a number, and with the folder. It uses the
    /// stack alone: what it left in the allocator's caches would count as in use.
    fn each(folder: &CStr, mut found: impl FnMut(u64, &CStr, &dyn AsFd)) -> Option<()> {
        let folder = openat(CWD, folder, READ | OFlags::DIRECTORY, Mode::empty()).ok()?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.ok()?;
            let name = entry.file_name();
            if let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok()) {
                found(number, name, &folder);
            }
        }
        Some(())
    }

    fn count(folder: &CStr) -> Option<u64> {
        let mut count = 0;
        each(folder, |_, _, _| count += 1).map(|()| count)
    }

    /// Less the folder's own descriptor.
    pub(crate) fn count_descriptors() -> Option<u64> {
        count(c"/proc/self/fd").map(|count| count - 1)
    }

    pub(crate) fn count_threads() -> Option<u64> {
        count(c"/proc/self/task")
    }

    pub(crate) fn count_children() -> Option<u64> {
        let mut count = 0;
        each_child(|_, _, _| count += 1).map(|()| count)
    }

    /// Calls `found` with number, name and state of each child. A child that has ended and was not waited for is one.
    fn each_child(mut found: impl FnMut(u64, &str, &str)) -> Option<()> {
        let own = std::process::id();
        each(c"/proc", |number, name, folder| {
            let mut buffer = [0; 512];
            let read = openat(folder, name, READ | OFlags::DIRECTORY, Mode::empty())
                .and_then(|process| openat(process, c"stat", READ, Mode::empty()))
                .and_then(|stat| rustix::io::read(stat, &mut buffer));
            let Ok(length) = read else {
                return; // It ended meanwhile.
            };
            // proc(5): `pid (comm) state ppid ...`, and comm may contain any byte, brackets too.
            let stat = std::str::from_utf8(&buffer[..length]).unwrap_or("");
            let Some((head, tail)) = stat.rsplit_once(')') else {
                return;
            };
            let mut fields = tail.split_ascii_whitespace();
            let (state, parent) = (fields.next(), fields.next());
            if parent.and_then(|parent| parent.parse().ok()) == Some(own) {
                let name = head.split_once('(').map_or("", |(_, name)| name);
                found(number, name, state.unwrap_or("unknown"));
            }
        })
    }

    fn numbers(folder: &CStr) -> Vec<u64> {
        let mut numbers = Vec::new();
        each(folder, |number, _, _| numbers.push(number));
        numbers
    }

    pub(crate) fn descriptors() -> Held {
        // The folder's own descriptor is among them, and is closed by now.
        let named = numbers(c"/proc/self/fd").into_iter().filter_map(|number| {
            let target = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
            Some((number, format!("descriptor {number}: {}", target.display())))
        });
        Held::named(named.collect())
    }

    pub(crate) fn threads() -> Held {
        let named = numbers(c"/proc/self/task")
            .into_iter()
            .filter_map(|number| {
                let name = fs::read_to_string(format!("/proc/self/task/{number}/comm")).ok()?;
                Some((number, format!("thread {number}: {}", name.trim_end())))
            });
        Held::named(named.collect())
    }

    pub(crate) fn children() -> Held {
        let mut named = Vec::new();
        each_child(|number, name, state| {
            named.push((number, format!("child {number}: {name} (state {state})")));
        });
        Held::named(named)
    }
}

#[cfg(target_os = "macos")]
mod platform {
    use super::Held;

    pub(crate) fn descriptors() -> Held {
        let Ok(entries) = std::fs::read_dir("/dev/fd") else {
            return Held::default();
        };
        let names: Vec<_> = entries
            .filter_map(|entry| Some(format!("descriptor {}", entry.ok()?.file_name().to_str()?)))
            .collect();
        Held {
            count: Some(names.len() as u64),
            names,
        }
    }

    pub(crate) fn threads() -> Held {
        Held {
            count: crate::sys::threads(),
            names: Vec::new(),
        }
    }

    pub(crate) fn children() -> Held {
        Held::default()
    }
}

#[cfg(windows)]
mod platform {
    use super::Held;

    /// Handles: files, sockets, events, threads and more.
    pub(crate) fn descriptors() -> Held {
        Held {
            count: crate::sys::handles(),
            names: Vec::new(),
        }
    }

    pub(crate) fn threads() -> Held {
        Held::default()
    }

    pub(crate) fn children() -> Held {
        Held::default()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod platform {
    use super::Held;

    pub(crate) fn descriptors() -> Held {
        Held::default()
    }

    pub(crate) fn threads() -> Held {
        Held::default()
    }

    pub(crate) fn children() -> Held {
        Held::default()
    }
}

/// Counts where the names cost nothing, or the heap does not matter.
#[cfg(not(target_os = "linux"))]
mod counts {
    use super::platform::{children, descriptors, threads};

    pub(crate) fn count_descriptors() -> Option<u64> {
        descriptors().count
    }

    pub(crate) fn count_threads() -> Option<u64> {
        threads().count
    }

    pub(crate) fn count_children() -> Option<u64> {
        children().count
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use counts::{count_children, count_descriptors, count_threads};
pub(crate) use platform::{children, descriptors, threads};
#[cfg(target_os = "linux")]
pub(crate) use platform::{count_children, count_descriptors, count_threads};
