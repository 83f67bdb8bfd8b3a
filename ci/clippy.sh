#!/usr/bin/env bash
# Lints, as errors, on everything that is built.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --workspace --exclude hangup-cookbook --all-targets --all-features --locked -- -D warnings
