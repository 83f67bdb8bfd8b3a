#!/usr/bin/env bash
# The library, without its dev-dependencies, on the oldest Rust that Cargo.toml promises.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

msrv=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! grep -qwF "$msrv" README.md; then
    echo "msrv: Cargo.toml says $msrv, README.md does not" >&2
    exit 1
fi
cargo "+$msrv" --version >/dev/null 2>&1 ||
    missing_toolchain "the library with Rust $msrv" "rustup toolchain install $msrv --profile minimal"
# All features but a provider of cryptography that is C for minutes, and no code of ours.
features=$(sed -n '/^\[features\]/,/^\[dep/s/^\([a-z0-9-]*\) = .*/\1/p' Cargo.toml |
    grep -vxE 'default|aws-lc-rs' | paste -sd,)
cargo "+$msrv" check --lib --features "$features" --locked
cargo "+$msrv" check --lib --no-default-features --locked
cargo "+$msrv" check -p heapdelta --lib --all-features --locked
echo "msrv: both libraries build with Rust $msrv"
