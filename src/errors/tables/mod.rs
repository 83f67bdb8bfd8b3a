//! One table of error codes for each platform, and the search in them.
//!
//! It may use the row type, the classes and the platforms. [`classify`](super::classify()) uses it for an
//! error with a code, and programs use it through [`OsError`].
//!
//! # To add a code
//!
//! Add a row to the table of its platform, in the order of the codes: the search is binary. A row has the code, the names
//! and the class. The head of the file names the source of the numbers, and explains a class that surprises. To find the
//! class, ask what a sender should do (see [`ErrorClass`](super::ErrorClass)). What counts is when the system returns the
//! code for a socket, and not how its name sounds.

mod bsd;
mod linux;
mod look_up;
mod windows;

use super::os_error::OsError;
use super::platform::Platform;

impl OsError {
    /// The error with this `code` on `platform`. The code is what `raw_os_error` returns there.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_code(104, Platform::Linux).unwrap().name(), "ECONNRESET");
    /// assert_eq!(OsError::from_code(54, Platform::MacOs).unwrap().name(), "ECONNRESET");
    /// assert_eq!(OsError::from_code(104, Platform::Windows), None);
    /// ```
    pub fn from_code(code: i32, platform: Platform) -> Option<Self> {
        codes(platform).iter().find_map(|table| find(table, code))
    }

    /// The error of a name look-up with this `code` on `platform`. The code is the return value of `getaddrinfo`, which
    /// on Unix is not an `errno`.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_lookup(-3, Platform::Linux).unwrap().name(), "EAI_AGAIN");
    /// assert_eq!(OsError::from_lookup(2, Platform::MacOs).unwrap().name(), "EAI_AGAIN");
    /// assert_eq!(OsError::from_lookup(11002, Platform::Windows).unwrap().name(), "WSATRY_AGAIN");
    /// ```
    pub fn from_lookup(code: i32, platform: Platform) -> Option<Self> {
        find(look_ups(platform), code)
    }

    /// The error called `name` on `platform`.
    ///
    /// An alias finds the error too (`EWOULDBLOCK` for `EAGAIN`). On Windows a POSIX name does, if the error has one.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// assert_eq!(OsError::from_name("EWOULDBLOCK", Platform::Linux).unwrap().code(), 11);
    /// assert_eq!(OsError::from_name("EWOULDBLOCK", Platform::Windows).unwrap().code(), 10035);
    /// assert_eq!(OsError::from_name("WSAEWOULDBLOCK", Platform::Linux), None);
    /// ```
    pub fn from_name(name: &str, platform: Platform) -> Option<Self> {
        let [own, more] = codes(platform);
        let found = own
            .iter()
            .chain(more)
            .chain(look_ups(platform))
            .find(|row| is_called(row, name, platform));
        if let Some(row) = found {
            return Some(*row);
        }
        let (_, own) = aliases(platform).iter().find(|(alias, _)| *alias == name)?;
        Self::from_name(own, platform)
    }
}

/// Whether `name` is the row's own name or, on Windows, the same name without or with `WSA`.
fn is_called(row: &OsError, name: &str, platform: Platform) -> bool {
    if row.name() == name {
        return true;
    }
    if platform != Platform::Windows {
        return false;
    }
    let without_wsa = row.name().strip_prefix("WSA");
    // WSA_IO_PENDING is ERROR_IO_PENDING.
    let of_system = row.name().strip_prefix("ERROR");
    without_wsa == Some(name)
        || of_system.is_some_and(|rest| name.strip_prefix("WSA") == Some(rest))
}

/// The platform's own tables. Each is in the order of its codes, and no code is in both.
const fn codes(platform: Platform) -> [&'static [OsError]; 2] {
    match platform {
        Platform::Linux => [linux::ROWS, &[]],
        Platform::MacOs => [bsd::COMMON, bsd::MACOS],
        Platform::FreeBsd => [bsd::COMMON, bsd::FREEBSD],
        Platform::DragonFly => [bsd::COMMON, bsd::DRAGONFLY],
        Platform::NetBsd => [bsd::COMMON, bsd::NETBSD],
        Platform::OpenBsd => [bsd::COMMON, bsd::OPENBSD],
        Platform::Windows => [windows::ROWS, &[]],
    }
}

/// The table of `getaddrinfo`'s codes.
const fn look_ups(platform: Platform) -> &'static [OsError] {
    match platform {
        Platform::Linux | Platform::OpenBsd => look_up::NEGATIVE,
        Platform::MacOs | Platform::FreeBsd | Platform::DragonFly | Platform::NetBsd => {
            look_up::POSITIVE
        }
        Platform::Windows => windows::ROWS,
    }
}

/// Aliases, each with the platform's own name.
const fn aliases(platform: Platform) -> &'static [(&'static str, &'static str)] {
    match platform {
        Platform::Windows => windows::ALIASES,
        Platform::Linux
        | Platform::MacOs
        | Platform::FreeBsd
        | Platform::DragonFly
        | Platform::NetBsd
        | Platform::OpenBsd => look_up::ALIASES,
    }
}

fn find(table: &[OsError], code: i32) -> Option<OsError> {
    let place = table.binary_search_by_key(&code, |row| row.code()).ok()?;
    Some(table[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The search relies on the order. A code or a name that is there twice would hide its second row.
    #[test]
    fn tables_are_in_order_and_without_duplicates() {
        for &platform in Platform::ALL {
            let [own, more] = codes(platform);
            for table in [own, more, look_ups(platform)] {
                assert!(
                    table.is_sorted_by(|a, b| a.code() < b.code()),
                    "{platform}: not in order"
                );
            }
            let rows: Vec<_> = own.iter().chain(more).collect();
            for (place, row) in rows.iter().enumerate() {
                for other in &rows[place + 1..] {
                    assert_ne!(row.code(), other.code(), "{platform}");
                    assert_ne!(row.name(), other.name(), "{platform}");
                }
                assert_eq!(OsError::from_code(row.code(), platform), Some(**row));
                assert_eq!(OsError::from_name(row.name(), platform), Some(**row));
            }
        }
    }

    #[test]
    fn every_alias_leads_to_a_row() {
        for platform in [Platform::Windows, Platform::Linux] {
            for (alias, own) in aliases(platform) {
                assert!(OsError::from_name(own, platform).is_some(), "{alias}");
            }
        }
    }
}
