#!/usr/bin/env bash
# The order of the rooms of src/: no import runs up, no two files import each other.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 ci/rooms.py "$@"
