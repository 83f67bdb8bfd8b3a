#!/usr/bin/env bash
# The heart's tests in the optimised build, where races have other odds. `ci/test.sh --release` runs all.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --release --features metrics,durable,tracing --lib --test core --test tls --test outbox --test store --test outbox_chaos --test loom
