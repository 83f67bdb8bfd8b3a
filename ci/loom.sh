#!/usr/bin/env bash
# Every interleaving of the shared cell's observers with what they observe, without a bound.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --all-features --release --test loom
