#!/usr/bin/env bash
# The tests: unit, integration, and the examples of the documentation. `ci/test.sh --release` for the
# optimised build. The command is the README's, `cargo test --all-features`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --all-features "$@"
