//! What the system says of the process's memory.

/// Bytes; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// What no other process shares.
    pub(crate) uss: Option<u64>,
    pub(crate) rss: Option<u64>,
    pub(crate) vms: Option<u64>,
}

#[cfg(target_os = "linux")]
mod platform {
    use super::Memory;
    use std::fs::File;
    use std::io::Read;

    /// The value of the line `key: 123 kB`, in bytes.
    fn field(text: &str, key: &str) -> Option<u64> {
        let rest = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Reads a small file without a heap buffer: this runs between two readings of the heap.
    fn read<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
        let mut file = File::open(path).ok()?;
        let mut length = 0;
        while length < buffer.len() {
            match file.read(&mut buffer[length..]).ok()? {
                0 => break,
                read => length += read,
            }
        }
        std::str::from_utf8(&buffer[..length]).ok()
    }

    /// The pages that no file backs. `Private_Clean` and `Private_Dirty` have those of the program and of its libraries too:
    /// they grow when another process that maps the same file ends, and change when the file is written to the disk.
    fn unique(rollup: &str) -> Option<u64> {
        field(rollup, "Anonymous")
    }

    /// `smaps_rollup` (Linux 4.14) walks the page tables and is exact; `VmRSS` is batched for each processor.
    pub(crate) fn memory() -> Memory {
        let mut buffer = [0; 4096];
        let mut memory = Memory::default();
        if let Some(text) = read("/proc/self/smaps_rollup", &mut buffer) {
            memory.rss = field(text, "Rss");
            memory.uss = unique(text);
        }
        if let Some(text) = read("/proc/self/status", &mut buffer) {
            memory.vms = field(text, "VmSize");
            memory.rss = memory.rss.or_else(|| field(text, "VmRSS"));
        }
        memory
    }

    #[cfg(test)]
    #[test]
    fn pages_of_the_program_are_no_growth() {
        let beside_another = "Shared_Clean: 4096 kB\nPrivate_Clean: 8 kB\nAnonymous: 400 kB\n";
        let alone = "Shared_Clean: 0 kB\nPrivate_Clean: 4104 kB\nAnonymous: 400 kB\n";
        assert_eq!(unique(beside_another), Some(400 * 1024));
        assert_eq!(unique(alone), unique(beside_another));
    }

    #[cfg(test)]
    #[test]
    fn a_field_is_kibibytes() {
        let text = "Rss:                1644 kB\nPss_Dirty:    12 kB\nPss:  3 kB\n";
        assert_eq!(field(text, "Rss"), Some(1644 * 1024));
        assert_eq!(field(text, "Pss"), Some(3 * 1024));
        assert_eq!(field(text, "Uss"), None);
        assert_eq!(field("Rss: many kB", "Rss"), None);
    }
}

#[cfg(any(target_os = "macos", windows))]
mod platform {
    pub(crate) use crate::sys::memory;
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod platform {
    use super::Memory;

    pub(crate) fn memory() -> Memory {
        Memory::default()
    }
}

pub(crate) use platform::memory;
