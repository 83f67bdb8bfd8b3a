//! The classification against what was seen in the field: `data/connection_errors.tsv` and
//! `data/wsa_codes.tsv`.

use hangup::errors::{ErrorClass, OsError, Platform, classify_os};

const PLATFORMS: [Platform; 7] = [
    Platform::Linux,
    Platform::MacOs,
    Platform::FreeBsd,
    Platform::DragonFly,
    Platform::NetBsd,
    Platform::OpenBsd,
    Platform::Windows,
];

/// Codes of the Windows list that no socket call gives.
const NOT_OF_SOCKETS: [(&str, &str); 3] = [
    ("WSAENOTEMPTY", "a directory that is not empty"),
    ("WSAEREMOTE", "a path on a remote file system"),
    ("WSAESTALE", "a file handle of a remote file system"),
];

fn lines(data: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    data.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            fields
                .try_into()
                .unwrap_or_else(|_| panic!("not three fields: {line}"))
        })
}

#[test]
fn every_named_error_has_its_class_on_every_platform() {
    let mut seen = 0;
    for [name, only, class] in lines(include_str!("../data/connection_errors.tsv")) {
        for platform in PLATFORMS {
            let error = OsError::from_name(name, platform);
            if only != "all" && only.parse() != Ok(platform) {
                assert_eq!(error, None, "{name} on {platform}");
                continue;
            }
            let error = error.unwrap_or_else(|| panic!("{name} is missing on {platform}"));
            assert_eq!(error.class().to_string(), class, "{name} on {platform}");
            if !name.starts_with("EAI_") {
                assert_eq!(classify_os(error.code(), platform), error.class(), "{name}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 41 * PLATFORMS.len() + 1);
}

/// What each class says of resending and of trying again.
#[test]
fn classes_say_what_to_do() {
    for [name, _, class] in lines(include_str!("../data/connection_errors.tsv")) {
        let error = OsError::from_name(name, Platform::Linux).unwrap();
        let connection = matches!(class, "disconnected" | "network" | "timeout" | "resolution");
        let transient = matches!(class, "not ready" | "interrupted");
        assert_eq!(error.class().is_connection(), connection, "{name}");
        assert_eq!(error.class().is_transient(), transient, "{name}");
    }
    assert!(ErrorClass::Tls.is_connection());
    assert!(!ErrorClass::Other.is_connection() && !ErrorClass::Other.is_transient());
}

#[test]
fn every_windows_code_has_a_class_or_a_reason() {
    let mut seen = 0;
    for [code, posix, name] in lines(include_str!("../data/wsa_codes.tsv")) {
        let code: i32 = code.parse().unwrap();
        let error = OsError::from_code(code, Platform::Windows)
            .unwrap_or_else(|| panic!("{name} ({code}) is missing"));
        assert_eq!(error.name(), name);
        let of_sockets = NOT_OF_SOCKETS.iter().all(|(other, _)| *other != name);
        assert_eq!(error.class() != ErrorClass::Other, of_sockets, "{name}");
        if posix != "-" {
            assert_eq!(OsError::from_name(posix, Platform::Windows), Some(error));
            // The same error, under its own number, means the same elsewhere.
            if let Some(there) = OsError::from_name(posix, Platform::FreeBsd) {
                assert_eq!(there.class(), error.class(), "{posix}");
            }
        }
        for platform in PLATFORMS {
            if platform != Platform::Windows {
                assert_eq!(
                    OsError::from_code(code, platform),
                    None,
                    "{name} on {platform}"
                );
                assert_eq!(
                    OsError::from_name(name, platform),
                    None,
                    "{name} on {platform}"
                );
                assert_eq!(classify_os(code, platform), ErrorClass::Other);
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 47);
}

/// One number, five meanings.
#[test]
fn a_number_means_something_only_on_its_platform() {
    let name = |platform| OsError::from_code(54, platform).map(|error| error.name());
    assert_eq!(name(Platform::Linux), Some("EXFULL"));
    assert_eq!(name(Platform::MacOs), Some("ECONNRESET"));
    assert_eq!(name(Platform::Windows), Some("ERROR_NETWORK_BUSY"));
    assert_eq!(classify_os(35, Platform::Linux), ErrorClass::Other);
    assert_eq!(classify_os(35, Platform::OpenBsd), ErrorClass::NotReady);
    assert_eq!(classify_os(32, Platform::Linux), ErrorClass::Disconnected);
    assert_eq!(classify_os(32, Platform::Windows), ErrorClass::Other);
    assert_eq!(classify_os(96, Platform::NetBsd), ErrorClass::Disconnected);
    assert_eq!(classify_os(96, Platform::Linux), ErrorClass::Misuse);
}
