#!/usr/bin/env bash
# The programs that measure docs/performance.md build, without lints, from the versions of their lock files: `report`, and
# `idle` with the default features. They are packages of their own, which no other step compiles. Nothing is measured.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
check() {
    cargo clippy --manifest-path "$1/Cargo.toml" --locked "${@:2}" -- -D warnings
}
check benches/report
check benches/report --no-default-features --bin idle
check benches/store
