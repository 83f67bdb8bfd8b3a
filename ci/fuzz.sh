#!/usr/bin/env bash
# Each fuzzer for ten seconds, from the committed corpus. `ci/fuzz.sh 1200` for twenty minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-10}"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped: the fuzzers: there is no nightly toolchain (rustup toolchain install nightly)"
    exit 0
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "skipped: the fuzzers: cargo-fuzz is not installed (cargo install cargo-fuzz --locked)"
    exit 0
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
for target in state stream unread classify_log outbox; do
    # What is found goes to the first directory, so that the committed one stays as it is.
    found=$(mktemp -d)
    echo "fuzz: $target for $seconds s, new inputs in $found"
    cargo +nightly fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1 2>&1 |
        grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|RELOAD|pulse)|^".*" # Uses|dictionary'
done
