//! The platforms whose error codes are known.

use std::fmt;
use std::str::FromStr;

/// A platform whose error codes are known.
///
/// The same number has different meanings on different platforms. 104 is a reset on Linux, a mutex that cannot be
/// recovered on macOS, and nothing on Windows. So every function that takes a code also takes its platform.
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
    /// Linux and Android, except on Alpha, MIPS, PA-RISC and SPARC, which have other numbers.
    ///
    /// The numbers of name look-ups are those of glibc and musl. Android uses
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
    /// Every platform that is known here.
    ///
    /// ```
    /// use hangup::errors::{OsError, Platform};
    ///
    /// // Each platform has its own number for a reset.
    /// for platform in Platform::ALL {
    ///     assert!(OsError::from_name("ECONNRESET", *platform).is_some());
    /// }
    /// ```
    pub const ALL: &'static [Self] = &[
        Self::Linux,
        Self::MacOs,
        Self::FreeBsd,
        Self::DragonFly,
        Self::NetBsd,
        Self::OpenBsd,
        Self::Windows,
    ];

    /// The platform that this program was built for. `None` if there is no table of its codes:
    /// [`classify`](super::classify) then uses the kind that std gives the code.
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

/// Parses the names that [`Display`](fmt::Display) prints. They are those of `target_os`.
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

/// The error of parsing a name that is not a [`Platform`]'s.
///
/// ```
/// use hangup::errors::Platform;
///
/// let error = "amiga".parse::<Platform>().unwrap_err();
/// assert!(error.to_string().starts_with("unknown platform: expected linux,"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPlatform(());

impl fmt::Display for UnknownPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "unknown platform: expected linux, macos, freebsd, dragonfly, netbsd, openbsd or windows",
        )
    }
}

impl std::error::Error for UnknownPlatform {}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn a_platform_parses_from_its_name() {
        for platform in Platform::ALL {
            assert_eq!(platform.to_string().parse(), Ok(*platform));
        }
    }
}
