//! What two common mistakes are answered with when a program is built; `core` has those of a running one. The phrases are ours, or have been the compiler's for years; its
//! layout is not looked at.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(mistake = "wrong_listener")]
mod wrong_listener;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The text with which `cargo` fails.
fn fails(cargo: &mut Command) -> String {
    // ring's build script looks at what the outer cargo says of this package, and would be built anew with all above it.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "it compiles: {text}");
    text
}

/// This program once more, with the mistake in it: what it needs is built already.
#[test]
fn a_listener_without_monitors() {
    let target = env::current_exe().unwrap();
    let target = target.ancestors().nth(3).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).arg("rustc").arg("--target-dir");
    cargo.arg(target).args([
        "--offline",
        "--quiet",
        "--all-features",
        "--profile",
        "test",
    ]);
    cargo.args([
        "--test",
        "mistakes",
        "--",
        "--cfg",
        "mistake=\"wrong_listener\"",
    ]);
    let text = fails(&mut cargo);
    assert!(text.contains("are not monitored"), "{text}");
    assert!(
        text.contains("hangup::axum::Monitored::new(listener)"),
        "{text}"
    );
}

/// A program of its own, which asks for no feature.
#[test]
fn a_feature_that_is_missing() {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing_feature");
    fs::create_dir_all(room.join("src")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = \"program\"\nedition = \"2024\"\n[dependencies]\nhangup = {{ path = {ROOT:?} }}\n"
    );
    fs::write(room.join("Cargo.toml"), manifest).unwrap();
    fs::write(
        room.join("src/main.rs"),
        "use hangup::axum::Peer;\nfn main() {}\n",
    )
    .unwrap();
    fs::copy(Path::new(ROOT).join("Cargo.lock"), room.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(&room)
        .args(["check", "--offline", "--quiet"]);
    let text = fails(cargo.arg("--target-dir").arg(room.join("target")));
    assert!(text.contains("configured out"), "{text}");
    // Not any feature: the module's own.
    assert!(text.contains("the `axum` feature"), "{text}");
}
