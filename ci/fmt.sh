#!/usr/bin/env bash
# The formatting of the crate and of its fuzzers.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
echo "fmt: all files are formatted"
