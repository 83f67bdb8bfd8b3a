#!/usr/bin/env bash
# Every interleaving of the shared cell's observers with what they observe, with more forced switches
# than `cargo test` tries. `LOOM_MAX_PREEMPTIONS=…` for another number.
set -euo pipefail
cd "$(dirname "$0")/.."

export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-7}"
echo "loom: at most $LOOM_MAX_PREEMPTIONS forced switches"
cargo test --all-features --release --test loom
