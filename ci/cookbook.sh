#!/usr/bin/env bash
# The recipes that need a framework of their own: each is left in two ways, and has to stop.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --locked -p hangup-cookbook
