#!/usr/bin/env bash
# The errors of hyper, h2, reqwest, tungstenite, tonic, quinn, redis and tokio-postgres, made by these
# libraries themselves. A package of its own, so that the library's tests need none of them.
set -euo pipefail
cd "$(dirname "$0")/../tests/third_party"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../../target}/third_party"
cargo test
