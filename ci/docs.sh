#!/usr/bin/env bash
# The documentation, with its warnings as errors: a link that leads nowhere is one.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --exclude hangup-cookbook --no-deps --all-features --locked
