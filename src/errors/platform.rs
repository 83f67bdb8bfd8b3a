//! Whose code it is: a number means something only on its own platform.

use super::{ErrorClass, bsd, linux, lookup, windows};
use std::fmt;
use std::str::FromStr;

/// Whose error codes: the same number means something else on another platform.
///
/// 104 is a reset on Linux, a failure to recover a mutex on macOS and nothing on Windows; every
/// question about a code names its platform.
///
/// ```
/// use hangup::errors::{ErrorClass, Platform, classify_os};
///
/// assert_eq!(classify_os(104, Platform::Linux), ErrorClass::Disconnected);
/// assert_eq!(classify_os(104, Platform::MacOs), ErrorClass::Other);
/// assert_eq!(classify_os(10054, Platform::Windows), ErrorClass::Disconnected);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// Linux and Android, on any processor but Alpha, MIPS, PA-RISC and SPARC, whose numbers differ.
    ///
    /// The numbers of name look-ups are those of glibc and musl; Android's are
    /// [`FreeBsd`](Self::FreeBsd)'s.
    Linux,
    /// macOS, iOS and the other systems of Apple.
    MacOs,
    /// FreeBSD.
    FreeBsd,
    /// DragonFly BSD.
    DragonFly,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
    /// Windows: Winsock's codes (`WSAECONNRESET`) and the system's (`ERROR_NETNAME_DELETED`).
    Windows,
}

impl Platform {
    /// The platform that this program was built for, or `None` if its codes have no table here:
    /// [`classify`](super::classify) then goes by the kind that std gives the code.
    ///
    /// ```
    /// use hangup::errors::Platform;
    ///
    /// # #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    /// assert_eq!(Platform::current(), Some(Platform::Linux));
    /// ```
    pub const fn current() -> Option<Self> {
        let own_numbers = cfg!(any(
            target_arch = "mips",
            target_arch = "mips32r6",
            target_arch = "mips64",
            target_arch = "mips64r6",
            target_arch = "sparc",
            target_arch = "sparc64"
        ));
        if cfg!(any(target_os = "linux", target_os = "android")) && !own_numbers {
            Some(Self::Linux)
        } else if cfg!(target_vendor = "apple") {
            Some(Self::MacOs)
        } else if cfg!(target_os = "freebsd") {
            Some(Self::FreeBsd)
        } else if cfg!(target_os = "dragonfly") {
            Some(Self::DragonFly)
        } else if cfg!(target_os = "netbsd") {
            Some(Self::NetBsd)
        } else if cfg!(target_os = "openbsd") {
            Some(Self::OpenBsd)
        } else if cfg!(windows) {
            Some(Self::Windows)
        } else {
            None
        }
    }

    /// The tables of error codes, each in the order of its codes; no code is in two of them.
    const fn tables(self) -> [&'static [OsError]; 2] {
        match self {
            Self::Linux => [linux::ROWS, &[]],
            Self::MacOs => [bsd::COMMON, bsd::MACOS],
            Self::FreeBsd => [bsd::COMMON, bsd::FREEBSD],
            Self::DragonFly => [bsd::COMMON, bsd::DRAGONFLY],
            Self::NetBsd => [bsd::COMMON, bsd::NETBSD],
            Self::OpenBsd => [bsd::COMMON, bsd::OPENBSD],
            Self::Windows => [windows::ROWS, &[]],
        }
    }

    /// The table of `getaddrinfo`'s codes.
    const fn lookups(self) -> &'static [OsError] {
        match self {
            Self::Linux | Self::OpenBsd => lookup::NEGATIVE,
            Self::MacOs | Self::FreeBsd | Self::DragonFly | Self::NetBsd => lookup::POSITIVE,
            Self::Windows => windows::ROWS,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Linux => "linux",
            Self::MacOs => "macos",
            Self::FreeBsd => "freebsd",
            Self::DragonFly => "dragonfly",
            Self::NetBsd => "netbsd",
            Self::OpenBsd => "openbsd",
            Self::Windows => "windows",
        })
    }
}

/// The names that [`Display`](fmt::Display) gives; they are those of `target_os`.
///
/// ```
/// use hangup::errors::Platform;
///
/// assert_eq!("windows".parse(), Ok(Platform::Windows));
/// assert!("amiga".parse::<Platform>().is_err());
/// ```
impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(name: &str) -> Result<Self, UnknownPlatform> {
        Ok(match name {
            "linux" => Self::Linux,
            "macos" => Self::MacOs,
            "freebsd" => Self::FreeBsd,
            "dragonfly" => Self::DragonFly,
            "netbsd" => Self::NetBsd,
            "openbsd" => Self::OpenBsd,
            "windows" => Self::Windows,
            _ => return Err(UnknownPlatform(())),
        })
    }
}

/// A name that is no [`Platform`]'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPlatform(());

impl fmt::Display for UnknownPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "unknown platform: not linux, macos, freebsd, dragonfly, netbsd, openbsd or windows",
        )
    }
}

impl std::error::Error for UnknownPlatform {}

/// One error of an operating system: its code, its name and what it means.
///
/// ```
/// use hangup::errors::{ErrorClass, OsError, Platform};
///
/// let error = OsError::from_code(10061, Platform::Windows).unwrap();
/// assert_eq!(error.name(), "WSAECONNREFUSED");
/// assert_eq!(error.class(), ErrorClass::Disconnected);
/// assert_eq!(OsError::from_name("ECONNREFUSED", Platform::Windows), Some(error));
/// assert_eq!(OsError::from_name("ECONNREFUSED", Platform::Linux).unwrap().code(), 111);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OsError {
    code: i32,
    name: &'static str,
    class: ErrorClass,
}

/// A row of a table.
pub(super) const fn row(code: i32, name: &'static str, class: ErrorClass) -> OsError {
    OsError { code, name, class }
}

impl OsError {
    /// The error that has `code` on `platform`: what `raw_os_error` gives there.
    pub fn from_code(code: i32, platform: Platform) -> Option<Self> {
        platform.tables().iter().find_map(|table| find(table, code))
    }

    /// The error of a name look-up that has `code` on `platform`: what `getaddrinfo` returns there,
    /// which on Unix is no `errno`.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_lookup(-3, Platform::Linux).unwrap().name(), "EAI_AGAIN");
    /// assert_eq!(OsError::from_lookup(2, Platform::MacOs).unwrap().name(), "EAI_AGAIN");
    /// assert_eq!(OsError::from_lookup(11002, Platform::Windows).unwrap().name(), "WSATRY_AGAIN");
    /// ```
    pub fn from_lookup(code: i32, platform: Platform) -> Option<Self> {
        find(platform.lookups(), code)
    }

    /// The error called `name` on `platform`. A second name (`EWOULDBLOCK` for `EAGAIN`) finds it too,
    /// and so does a POSIX name on Windows.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_name("EWOULDBLOCK", Platform::Linux).unwrap().code(), 11);
    /// assert_eq!(OsError::from_name("EWOULDBLOCK", Platform::Windows).unwrap().code(), 10035);
    /// assert_eq!(OsError::from_name("WSAEWOULDBLOCK", Platform::Linux), None);
    /// ```
    pub fn from_name(name: &str, platform: Platform) -> Option<Self> {
        let is_called = |row: &&Self| {
            row.name == name
                || (platform == Platform::Windows
                    && (row.name.strip_prefix("WSA") == Some(name)
                        || row
                            .name
                            .strip_prefix("ERROR")
                            .is_some_and(|of_system| name.strip_prefix("WSA") == Some(of_system))))
        };
        let [own, more] = platform.tables();
        let found = own
            .iter()
            .chain(more)
            .chain(platform.lookups())
            .find(is_called);
        if let Some(row) = found {
            return Some(*row);
        }
        let aliases = match platform {
            Platform::Windows => windows::ALIASES,
            _ => lookup::ALIASES,
        };
        let (_, own) = aliases.iter().find(|(alias, _)| *alias == name)?;
        Self::from_name(own, platform)
    }

    /// The code.
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The name: `ECONNRESET`, `WSAECONNRESET`, `EAI_AGAIN`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it means for a sender.
    pub const fn class(&self) -> ErrorClass {
        self.class
    }
}

/// The name and the code: `ECONNRESET (104)`.
impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.code)
    }
}

fn find(table: &[OsError], code: i32) -> Option<OsError> {
    let place = table.binary_search_by_key(&code, |row| row.code).ok()?;
    Some(table[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Platform; 7] = [
        Platform::Linux,
        Platform::MacOs,
        Platform::FreeBsd,
        Platform::DragonFly,
        Platform::NetBsd,
        Platform::OpenBsd,
        Platform::Windows,
    ];

    /// The search relies on the order; a code or a name that stands twice would hide its second row.
    #[test]
    fn tables_are_in_order_and_without_doubles() {
        for platform in ALL {
            let [own, more] = platform.tables();
            for table in [own, more, platform.lookups()] {
                assert!(
                    table.is_sorted_by(|a, b| a.code < b.code),
                    "{platform}: not in order"
                );
            }
            let rows: Vec<_> = own.iter().chain(more).collect();
            for (place, row) in rows.iter().enumerate() {
                for other in &rows[place + 1..] {
                    assert_ne!(row.code, other.code, "{platform}");
                    assert_ne!(row.name, other.name, "{platform}");
                }
                assert_eq!(OsError::from_code(row.code, platform), Some(**row));
                assert_eq!(OsError::from_name(row.name, platform), Some(**row));
            }
        }
    }

    #[test]
    fn every_alias_leads_to_a_row() {
        for (alias, own) in windows::ALIASES {
            assert!(
                OsError::from_name(own, Platform::Windows).is_some(),
                "{alias}"
            );
        }
        for (alias, own) in lookup::ALIASES {
            assert!(
                OsError::from_name(own, Platform::Linux).is_some(),
                "{alias}"
            );
        }
    }

    #[test]
    fn platforms_are_called_what_they_parse_from() {
        for platform in ALL {
            assert_eq!(platform.to_string().parse(), Ok(platform));
        }
    }
}
