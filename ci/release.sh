#!/usr/bin/env bash
# The heart's tests with the library and the tests optimised, and without debug assertions, where races have other odds.
# The dependencies are those of the other tests. `ci/test.sh --release` optimises them too, and runs all tests, those of TLS
# and of the store among them.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false CARGO_PROFILE_DEV_OVERFLOW_CHECKS=false
cargo test --features metrics,durable,tracing --lib --test core
