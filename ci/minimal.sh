#!/usr/bin/env bash
# The published crates build with the oldest version of each dependency that their manifests promise.
#
# Cargo takes the oldest version of what a manifest names itself, and the newest one of what that needs. It fails if
# something else needs a newer version than the manifest promises. A copy without the development dependencies is
# resolved and checked, as a program that uses the crates resolves them; nothing here is changed. It takes one to five
# minutes, most of them for versions that nothing else builds.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks
source ci/nightly

cargo "+$nightly" --version >/dev/null 2>&1 || missing_toolchain "the oldest versions with $nightly" ci/install.sh
cargo hack --version >/dev/null 2>&1 || missing cargo-hack "cargo install cargo-hack --locked"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/minimal"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard -- . ':!fuzz' ':!tests/data' | tar --create --null --files-from=- | tar --extract --directory="$copy"
cd "$copy"
# The cookbook's frameworks are for its programs, and are not published.
sed -i '/^members = /s/"cookbook", //' Cargo.toml
cargo hack --remove-dev-deps --workspace
cargo "+$nightly" update -Z direct-minimal-versions
cargo "+$nightly" check --workspace --lib --bins --all-features --locked
echo "minimal: the published crates build with the oldest versions that they promise"
