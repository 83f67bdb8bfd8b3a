#!/usr/bin/env bash
# Every interleaving of the shared cell's observers with what they observe, without a bound.
set -euo pipefail
cd "$(dirname "$0")/.."

export HANGUP_LOOM_WHOLE=1
cargo test --all-features --release --test loom
