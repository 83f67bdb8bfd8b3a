#!/usr/bin/env bash
# Every set of features, each checked alone.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo hack --version >/dev/null 2>&1; then
    echo "skipped: the feature powerset: cargo-hack is not installed (cargo install cargo-hack --locked)"
    exit 0
fi
# The providers of cryptography add no code of ours, and count as one.
cargo hack check --feature-powerset --no-dev-deps --group-features ring,aws-lc-rs,tls12
