#!/usr/bin/env bash
# Every feature alone, every two of them, and all together: what a user may ask for builds, and is clean of
# lints. `ci/features.sh test` runs the tests with each feature alone as well.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo hack --version >/dev/null 2>&1; then
    echo "skipped: the feature powerset: cargo-hack is not installed (cargo install cargo-hack --locked)"
    exit 0
fi
# A directory of its own: other features of the same dependencies would build them anew each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/features"
# The providers of cryptography add no code of ours, and count as one.
cargo hack clippy --feature-powerset --depth 2 --no-dev-deps --lib --group-features ring,aws-lc-rs,tls12 -- -D warnings
case "${1-}" in
test) cargo hack test --each-feature ;;
esac
