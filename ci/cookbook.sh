#!/usr/bin/env bash
# The recipes that need a framework of their own: each is left in two ways, and has to stop. The other steps leave them
# out, and build none of the frameworks. `ci/cookbook.sh lints` checks their lints instead, which takes as long again.
# Files below the layers of tower-http, and the tests of the dashboard and of `hangup-store`, run here too: they share the build.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-run}" in
run) cargo test --locked -p hangup-cookbook -p hangup-dashboard -p hangup-store ;;
lints) cargo clippy --locked -p hangup-cookbook --all-targets -- -D warnings ;;
*)
    echo "usage: ci/cookbook.sh [lints]" >&2
    exit 2
    ;;
esac
