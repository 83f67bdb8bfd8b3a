//! Where the binaries of the examples are, and what their options and outputs have in common.

pub(crate) use crate::example::{DEADLINE, Example};

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The features that this test was built with.
const FEATURES: &[&str] = &[
    #[cfg(feature = "aws-lc-rs")]
    "aws-lc-rs",
    #[cfg(feature = "axum")]
    "axum",
    #[cfg(feature = "codec")]
    "codec",
    #[cfg(feature = "durable")]
    "durable",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "hyper-client")]
    "hyper-client",
    #[cfg(feature = "json")]
    "json",
    #[cfg(feature = "metrics")]
    "metrics",
    #[cfg(feature = "outbox")]
    "outbox",
    #[cfg(feature = "ring")]
    "ring",
    #[cfg(feature = "serve")]
    "serve",
    #[cfg(feature = "test-util")]
    "test-util",
    #[cfg(feature = "tls")]
    "tls",
    #[cfg(feature = "tls12")]
    "tls12",
    #[cfg(feature = "tonic")]
    "tonic",
    #[cfg(feature = "tower")]
    "tower",
    #[cfg(feature = "tracing")]
    "tracing",
];

/// With a feature less, `binary` builds the library and all examples a second time.
#[test]
fn the_list_of_features_is_complete() {
    let manifest = include_str!("../../Cargo.toml");
    let features = manifest.split_once("\n[features]\n").unwrap().1;
    let features = features.split("\n[").next().unwrap();
    for line in features.lines() {
        if let Some((name, _)) = line.split_once(" = [")
            && name != "default"
        {
            let source = include_str!("process.rs");
            assert!(source.contains(&format!("    \"{name}\",\n")), "{name}");
        }
    }
}

/// The path of an example's binary, of the profile that this test was built with.
///
/// `cargo test` builds the examples; `cargo test --test examples` does not, so this sees to it that
/// they are there and of this source.
pub(crate) fn binary(example: &str) -> PathBuf {
    static PROFILE: OnceLock<PathBuf> = OnceLock::new();
    let profile = PROFILE.get_or_init(|| {
        let test = env::current_exe().unwrap();
        // target/<profile>/deps/<test>
        let profile = test.ancestors().nth(2).unwrap().to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--examples", "--target-dir"]);
        cargo.arg(profile.parent().unwrap());
        // ring's build script looks at what the outer cargo says of this package, and would be built anew with all
        // above it.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        // With the features of this test: an example that needs others is not built.
        for feature in FEATURES {
            cargo.args(["--features", feature]);
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "{cargo:?} failed");
        profile
    });
    let binary = profile.join("examples").join(example);
    let binary = binary.with_extension(env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "{} is missing", binary.display());
    binary
}

/// Checks that an example's `--help` knows `option`, and that nonsense is answered with what it was and where
/// help is.
pub(crate) fn explains(example: &str, option: &str) {
    let help = Command::new(binary(example))
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains(option), "{text}");
    refuses(example, &["--nonsense"], "--nonsense");
}

/// Checks that an example refuses these arguments, and says `why`.
pub(crate) fn refuses(example: &str, arguments: &[&str], why: &str) {
    let output = Command::new(binary(example))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(why) && text.contains("--help"), "{text}");
}

/// Whether the program is there; says so in the test's output if it is not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(
            env::var_os("CI").is_none(),
            "there is no {program}, and CI needs it"
        );
        println!("skipped: there is no {program} here");
    }
    found
}

/// A fresh directory for one test.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("examples-{test}"));
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl Example {
    /// Starts an example that serves one client, and returns its address too.
    pub(crate) fn for_one_client(example: &str, options: &[&str]) -> (Self, String) {
        let mut command = Command::new(binary(example));
        let mut example = Self::start(command.args(["--clients", "1"]).args(options));
        let line = example.line("listening on ");
        let address = line.split([' ', ';']).nth(2).unwrap().to_owned();
        (example, address)
    }
}
/// The number that stands before `after` in `line`: the digits with their commas.
pub(crate) fn number(line: &str, after: &str) -> u64 {
    let end = line
        .find(after)
        .unwrap_or_else(|| panic!("no {after:?} in {line:?}"));
    let number = line[..end].rsplit([' ', '(']).next().unwrap();
    number
        .replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("no number before {after:?} in {line:?}"))
}

/// The milliseconds that stand before `after` in `line`.
pub(crate) fn milliseconds(line: &str, after: &str) -> f64 {
    let end = line
        .find(after)
        .unwrap_or_else(|| panic!("no {after:?} in {line:?}"));
    line[..end].rsplit(' ').next().unwrap().parse().unwrap()
}
