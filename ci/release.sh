#!/usr/bin/env bash
# The heart's tests in the optimised build, where races have other odds. `ci/test.sh --release` runs all.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --release --features metrics,outbox,tracing --lib --test core --test tls --test outbox --test outbox_chaos --test loom
