#!/usr/bin/env bash
# Each fuzzer for ten seconds, from the committed corpus. `ci/fuzz.sh 1200` for twenty minutes. With `servers` as the second
# argument the fuzzers that need an HTTP server run instead: they double the time of the build.
# A run of a minute or more draws other inputs each time. A shorter one always draws the same, so that CI judges the change.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks
source ci/nightly

seconds="${1:-10}"
case "${2-}" in
'') targets=(state stream halves unread classify_log outbox salvage) features=() ;;
servers) targets=(files dashboard) features=(--features servers) ;;
*)
    echo "usage: ci/fuzz.sh [SECONDS [servers]]" >&2
    exit 2
    ;;
esac
seed=()
((seconds >= 60)) || seed=(-seed=1)
cargo "+$nightly" --version >/dev/null 2>&1 || missing_toolchain "the fuzzers with $nightly" ci/install.sh
cargo fuzz --version >/dev/null 2>&1 || missing cargo-fuzz "cargo install cargo-fuzz --locked"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
for target in "${targets[@]}"; do
    # What is found goes to the first directory, so that the committed one stays as it is.
    found=$(mktemp -d)
    echo "fuzz: $target for $seconds s, new inputs in $found"
    cargo "+$nightly" fuzz run "${features[@]}" "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" "${seed[@]}" -timeout=10 -print_final_stats=1 2>&1 |
        grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|RELOAD|pulse)|^".*" # Uses|dictionary'
done
