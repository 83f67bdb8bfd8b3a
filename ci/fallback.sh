#!/usr/bin/env bash
# The fallback watcher, tested on this platform with the tests of the real one.
set -euo pipefail
cd "$(dirname "$0")/.."

ticks=incoming_data_does_not_wake_the_watcher
lags=a_thousand_runtimes_leave_nothing_behind
echo "skipped: $ticks: the fallback watcher ticks"
echo "skipped: $lags: the ticking thread may hold the last runtime's descriptors for a moment"
# Not RUSTFLAGS, which would build every dependency anew.
export RUSTC_WORKSPACE_WRAPPER="$PWD/ci/fallback_rustc"
cargo test --all-features --lib
cargo test --all-features --test core -- \
    matrix:: watcher:: bad_input:: closed:: send_file:: --skip "$ticks" --skip "$lags"
