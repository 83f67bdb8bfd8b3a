#!/usr/bin/env bash
# The fallback watcher, tested on this platform with the tests of the real one.
set -euo pipefail
cd "$(dirname "$0")/.."

# A directory of its own: other flags would build everything else anew each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fallback"
ticks=incoming_data_does_not_wake_the_watcher
lags=a_thousand_runtimes_leave_nothing_behind
echo "skipped: $ticks: the fallback watcher ticks"
echo "skipped: $lags: the ticking thread may hold the last runtime's descriptors for a moment"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg hangup_fallback"
cargo test --lib
cargo test --test core -- matrix:: watcher:: bad_input:: closed:: send_file:: --skip "$ticks" --skip "$lags"
