#!/usr/bin/env bash
# Every feature alone, none, and all together: what a user may ask for builds, and is clean of lints.
# `ci/features.sh pairs` takes every two of them too: two minutes more.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

cargo hack --version >/dev/null 2>&1 || missing cargo-hack "cargo install cargo-hack --locked"
sets=(--each-feature)
case "${1-}" in
# The providers of cryptography add no code of ours, and count as one.
pairs) sets=(--feature-powerset --depth 2 --group-features ring,aws-lc-rs,tls12) ;;
esac
cargo hack clippy "${sets[@]}" --no-dev-deps --lib -- -D warnings
