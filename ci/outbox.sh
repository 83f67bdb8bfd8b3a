#!/usr/bin/env bash
# The outbox without the feature `metrics`, whose timer wakes the task ten times a second, and so hides a wake that is lost.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --features outbox,test-util --test outbox --test outbox_simulation
