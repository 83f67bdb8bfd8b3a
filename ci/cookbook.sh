#!/usr/bin/env bash
# The recipes that need a framework of their own: they are clean of lints, each is left in two ways, and has to stop. The
# other steps leave them out, and build none of the frameworks.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --locked -p hangup-cookbook --all-targets -- -D warnings
cargo test --locked -p hangup-cookbook
